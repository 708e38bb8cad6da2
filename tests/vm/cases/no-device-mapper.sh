# A kernel without device-mapper: the command says what is missing, and still works on files.

make_image d 64
vs format d h >made
root=$(root_hash made)
# Keep the module from being loaded again.
modprobe_path=$(cat /proc/sys/kernel/modprobe)
echo /bin/false >/proc/sys/kernel/modprobe
trap 'echo "$modprobe_path" >/proc/sys/kernel/modprobe; modprobe dm-verity' EXIT
modprobe -r dm-verity
rm -f /dev/mapper/control

message="Cannot initialize device-mapper. Is dm_mod kernel module loaded?
hint: /dev/mapper/control: No such file or directory.
hint: load it with \`modprobe dm-mod\`; it is the kernel's build option CONFIG_BLK_DEV_DM."
run vs open d v0 h "$root"
expect_code 1
expect_out ""
expect_err "$message"
refused_as_json
run vs status v0
expect_code 1
expect_out ""
expect_err "$message"
refused_as_json
run vs close v0
expect_code 4
expect_out ""
expect_err "$message"
refused_as_json
vs verify d h "$root"
vs dump h
