# A kernel with device-mapper and without verity: open and features say so, and leave nothing behind.

make_image d 64
vs format d h >made
# Keep the module from being loaded again.
modprobe_path=$(cat /proc/sys/kernel/modprobe)
echo /bin/false >/proc/sys/kernel/modprobe
trap 'echo "$modprobe_path" >/proc/sys/kernel/modprobe; modprobe dm-verity' EXIT
rmmod dm_verity

for action in "open d v0 h $(root_hash made) --use-tasklets" features; do
    # shellcheck disable=SC2086 # one word each
    run vs $action
    expect_code 1
    expect_out ""
    expect_err "Kernel has no dm-verity target. Is dm_verity kernel module loaded?
hint: load it with \`modprobe dm-verity\`; it is the kernel's build option CONFIG_DM_VERITY."
    refused_as_json
    nothing_left
done
