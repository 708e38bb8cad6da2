# `format` with FEC and `repair` on block devices: they write the same bytes as on files, the parity covers the whole
# hash device, and a device that is too small is refused before anything is written. The kernel needs no FEC for that.
# long: between

make_image d 300
cp d image
salt="--salt=aa --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71"
vs format d plain --fec-device=plain.fec $salt >made
root=$(root_hash made)

# keep DEVICE...: saves the contents of these devices.
keep() {
    for device in "$@"; do cat "$device" >"kept.${device##*/}"; done
}

# still DEVICE...: fails unless the contents are as saved.
still() {
    for device in "$@"; do same "kept.${device##*/}" "$device"; done
}

# Exactly as large as needed.
truncate -s 20K h
truncate -s 16K f
data=$(attach d -r)
hash=$(attach h)
fec=$(attach f)
run vs format "$data" "$hash" --fec-device="$fec" $salt
expect_code 0
expect_text "the root hash" "$root" "$(echo "$out" | root_hash)"
expect_err ""
same plain "$hash"
same plain.fec "$fec"
vs verify --strict "$data" "$hash" --fec-device="$fec" "$root"

# Parity that does not fit: the older image stays intact.
keep "$hash" "$fec"
run vs format "$data" "$hash" --fec-device="$fec" --fec-roots=3 --salt=bb
expect_code 1
expect_out ""
expect_err "Device $fec is too small.
hint: it has 16384 bytes, but 24576 are needed."
run vs format "$data" "$hash" --fec-device="$fec" --fec-offset=4096 --salt=bb
expect_code 1
expect_err "Device $fec is too small.
hint: it has 16384 bytes, but 20480 are needed."
# After the tree, even if no offset is given.
for offset in --fec-offset=20480 -q; do
    run vs format "$data" "$hash" --fec-device="$hash" $offset --salt=bb
    expect_code 1
    expect_err "Device $hash is too small.
hint: it has 20480 bytes, but 36864 are needed."
done
still "$hash" "$fec"
run vs format "$data" new --fec-device="$fec" --fec-roots=3
expect_code 1
[ ! -e new ]
run vs format "$data" "$hash" --fec-device="$hash" --fec-offset=0 --salt=bb
expect_code 1
expect_err "Hash area overlaps with FEC area.
hint: the hash area ends at byte 20480, the FEC area starts at byte 0."
still "$hash" "$fec"

# repair writes nothing either if the FEC device is truncated.
losetup -d "$data"
losetup -d "$hash"
damage d 4096 4096
damage h 8192 20
damage f 100 1
data=$(attach d)
hash=$(attach h)
keep "$data" "$hash" "$fec"
truncate -s 12K small
small=$(attach small)
run vs repair "$data" "$hash" --fec-device="$small" "$root"
expect_code 1
expect_out ""
expect_err "Device $small is too small.
hint: it has 12288 bytes, but 16384 are needed."
still "$data" "$hash" "$fec"
losetup -d "$small"

# Damage below a mapping can be examined while the mapping is open, and repaired once it is closed.
vs open "$data" v0 "$hash" "$root"
run vs repair "$data" "$hash" --fec-device="$fec" "$root"
expect_code 5
expect_out ""
expect_err "Cannot use device $data which is in use (already mapped or mounted).
hint: it is held by device-mapper device v0."
still "$data" "$hash" "$fec"
run vs repair --dry-run "$data" "$hash" --fec-device="$fec" "$root"
expect_code 0
expect_err "Found 4117 repairable errors with FEC device."
vs close v0
run vs repair "$data" "$hash" --fec-device="$fec" "$root"
expect_code 0
expect_out "Data block 1 at position 4096: 4096 wrong bytes.
Hash block 2 at position 8192: 20 wrong bytes.
FEC area: 1 wrong bytes.
Repaired 4117 errors."
expect_err ""
same image "$data"
vs verify --strict "$data" "$hash" --fec-device="$fec" "$root"
losetup -d "$hash"
losetup -d "$fec"

# The parity covers a hash device to its end, even after the tree, as with the kernel and the reference.
truncate -s 1200K h
head -c 40000 d | dd of=h bs=4096 seek=10 conv=notrunc
cp h as-file
rm f
truncate -s 24K f
hash=$(attach h)
fec=$(attach f)
vs format "$data" "$hash" --fec-device="$fec" $salt >made
vs format d as-file --fec-device=as-file.fec $salt >made
same as-file "$hash"
same as-file.fec "$fec"
damage "$data" 4096 4096
vs repair "$data" "$hash" --fec-device="$fec" "$root"
same image "$data"
same as-file "$hash"
losetup -d "$data"
losetup -d "$hash"
losetup -d "$fec"
nothing_left
