# A kernel without loop devices, or without their nodes: files cannot be opened, block devices can.

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

# Loop devices without nodes, as in a container: the message says that, and not that they are in use.
echo "$modprobe_path" >/proc/sys/kernel/modprobe
modprobe loop
[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
mkdir nodes
find /dev -maxdepth 1 -name 'loop[0-9]*' -exec mv {} nodes/ \;
run vs open d v0 h "$root"
expect_code 4
expect_out ""
node=$(echo "$err" | sed -n 's/^hint: there is no \(.*\): is devtmpfs mounted on .dev?$/\1/p')
expect_err "Cannot attach $PWD/d to a loop device.
hint: there is no $node: is devtmpfs mounted on /dev?"
case $node in
/dev/loop[0-9]*) ;;
*) fail "not the node of a loop device: $node" ;;
esac
nothing_left
# open waits for a node that appears a moment later.
(sleep 0.3 && mv nodes/* /dev/) &
vs open d v0 h "$root"
wait
same d /dev/mapper/v0
vs close v0
nothing_left
