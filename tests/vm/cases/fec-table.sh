# For a FEC area that the reference made, ours loads the same table as the reference, wherever the area is; status
# shows it.
# long: between
# kernels: 6.1 6.12 7

make_image d 300
data=$(attach d -r)

# compare HASH FEC OPTIONS...: both tools load the same table for these devices, and show the same.
compare() {
    tree=$1
    parity=$2
    shift 2
    root=$(ref format "$data" "$tree" --fec-device="$parity" --salt=aa "$@" | root_hash)
    ref open "$data" v0 "$tree" "$root" --fec-device="$parity" "$@"
    dmsetup table v0 >expected
    ref status v0 | sed 's/ \[512-byte units\] ([0-9]* \[bytes\])$//; s/ \[bytes\]$//; s/ sectors$//; s/ $//' >status
    ref close v0
    vs open "$data" v0 "$tree" "$root" --fec-device="$parity" "$@"
    run dmsetup table v0
    expect_out "$(cat expected)"
    # Some versions of the reference do not show the counter.
    run sh -c "/bin/veritysetup status v0 |
        sed 's/ \[512-byte units\] ([0-9]* \[bytes\])\$//; s/ \[bytes\]\$//; s/ \$//' | grep -v 'FEC repaired:'"
    expect_out "$(grep -v 'FEC repaired:' status)"
    same d /dev/mapper/v0
    vs close v0
}

truncate -s 20K h
truncate -s 200K f
hash=$(attach h)
fec=$(attach f)
compare "$hash" "$fec"
compare "$hash" "$fec" --fec-roots=24
compare "$hash" "$fec" --fec-roots=5 --fec-offset=8192
losetup -d "$hash"
losetup -d "$fec"

# Other data after the tree, which FEC covers too; and all areas on one device.
truncate -s 300K h
head -c 40000 d | dd of=h bs=4096 seek=10 conv=notrunc
hash=$(attach h)
truncate -s 200K f
fec=$(attach f)
compare "$hash" "$fec"
compare "$hash" "$hash" --fec-offset=131072
losetup -d "$hash"
losetup -d "$fec"
losetup -d "$data"
