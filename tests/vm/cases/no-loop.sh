# A kernel without loop devices: files cannot be opened, block devices can.

make_image d 64
vs format d h >made
root=$(root_hash made)
modprobe brd rd_nr=2 rd_size=1024
modprobe_path=$(cat /proc/sys/kernel/modprobe)
trap 'echo "$modprobe_path" >/proc/sys/kernel/modprobe; modprobe loop; rmmod brd' EXIT
echo /bin/false >/proc/sys/kernel/modprobe
dd if=d of=/dev/ram0
dd if=h of=/dev/ram1
rmmod loop
rm -f /dev/loop-control

for action in "open d v0 h $root" features; do
    # shellcheck disable=SC2086 # one word each
    run vs $action
    expect_code 4
    expect_out ""
    name=$(echo "$err" | sed -n '1s/^Cannot attach \(.*\) to a loop device\.$/\1/p')
    case $action in
    open*) [ "$name" = "$PWD/d" ] ;;
    *) [ "$name" = "an image in memory" ] ;;
    esac
    expect_text "the hints" "hint: No such file or directory.
hint: load the module with \`modprobe loop\`, or name block devices instead of files." "$(echo "$err" | sed 1d)"
    nothing_left
done
vs open /dev/ram0 v0 /dev/ram1 "$root"
same d /dev/mapper/v0
vs close v0
