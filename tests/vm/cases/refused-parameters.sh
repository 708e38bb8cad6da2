# Parameters that are valid but that this kernel cannot handle: the message names the parameter and its limits.
# long: between

make_image d 256
refused() {
    expect_code 1
    expect_out ""
    expect_text "what is said" "$1" "$(echo "$err" | sed '$d')"
    echo "$err" | tail -n 1 | grep '^hint: the table was: [01] '
    refused_as_json
    nothing_left
}

# Data blocks larger than a page; the message does not blame the options.
vs format d h --data-block-size=$((2 * page)) >made
for options in "" "--check-at-most-once" "--use-tasklets --ignore-zero-blocks"; do
    # shellcheck disable=SC2086 # one word each
    run vs open d v0 h "$(root_hash made)" $options
    refused "Kernel refused the data block size of $((2 * page)) bytes.
hint: the kernel's page size is $page bytes; data blocks cannot be larger.
hint: the kernel's answer: EINVAL: verity: Invalid data device block size"
done

# A disk that reads in units of 4096 bytes.
modprobe sd_mod || :
modprobe scsi_debug sector_size=4096 dev_size_mb=8 || modprobe null_blk nr_devices=1 bs=4096 gb=1 memory_backed=1
trap 'sync; rmmod scsi_debug 2>/dev/null || rmmod null_blk' EXIT
for wait in $(seq 100); do
    disk=$(grep -lx 4096 /sys/block/sd*/queue/logical_block_size /sys/block/nullb*/queue/logical_block_size 2>/dev/null |
        head -n 1 | cut -d / -f 4)
    [ -n "$disk" ] && [ -b "/dev/$disk" ] && break
    sleep 0.1
done
dd if=d of="/dev/$disk" bs=4096
vs format d h --data-block-size=512 >made
run vs open "/dev/$disk" v0 h "$(root_hash made)"
refused "Kernel refused the data block size of 512 bytes.
hint: the data device reads in units of 4096 bytes; data blocks cannot be smaller.
hint: the kernel's answer: EINVAL: verity: Invalid data device block size"
vs format d h --hash-block-size=512 >made
dd if=h of="/dev/$disk" bs=4096
run vs open d v0 "/dev/$disk" "$(root_hash made)" --use-tasklets
refused "Kernel refused the hash block size of 512 bytes.
hint: the hash device reads in units of 4096 bytes; hash blocks cannot be smaller.
hint: the kernel's answer: EINVAL: verity: Invalid hash device block size"
vs format d h >made
dd if=h of="/dev/$disk" bs=4096
vs open d v0 "/dev/$disk" "$(root_hash made)"
same d /dev/mapper/v0
vs close v0

# A hash algorithm that none of these kernels has.
vs format d h --hash=sm3 >made
run vs open d v0 h "$(root_hash made)" --check-at-most-once
refused "Hash algorithm sm3 is not supported by the kernel.
hint: use a kernel that has it built in or as a loadable module, or format with another --hash.
hint: the kernel's answer: ENOENT: verity: Cannot initialize hash function"

# An algorithm with two names, whose module is missing.
mv "/lib/modules/$(uname -r)" /lib/modules/away
trap 'mv /lib/modules/away "/lib/modules/$(uname -r)"; sync; rmmod scsi_debug 2>/dev/null || rmmod null_blk' EXIT
rmmod wp512 2>/dev/null || :
vs format d h --hash=whirlpool >made
run vs open d v0 h "$(root_hash made)"
refused "Hash algorithm wp512 is not supported by the kernel.
hint: nor under its other names: whirlpool.
hint: use a kernel that has it built in or as a loadable module, or format with another --hash.
hint: the kernel's answer: ENOENT: verity: Cannot initialize hash function"

# If the log cannot be read, the trials alone find the reason.
mv /dev/kmsg /dev/kmsg.away
trap 'mv /dev/kmsg.away /dev/kmsg
    mv /lib/modules/away "/lib/modules/$(uname -r)"; sync; rmmod scsi_debug 2>/dev/null || rmmod null_blk' EXIT
vs format d h --data-block-size=$((2 * page)) >made
run vs open d v0 h "$(root_hash made)"
refused "Kernel refused the data block size of $((2 * page)) bytes.
hint: the kernel's page size is $page bytes; data blocks cannot be larger.
hint: the kernel's answer: EINVAL, without a message that can be read in its log."
