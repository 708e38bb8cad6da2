# Names that are taken, and devices and mappings in use, give the messages and exit codes that callers expect.
# long: between
# boots: bare udev
# images: ext4

make_image d 64
vs format d h >made
root=$(root_hash made)
cat d h | sha256sum >before
data=$(attach d -r)
hash=$(attach h -r)
vs open "$data" v0 "$hash" "$root"

run vs open "$data" v0 "$hash" "$root"
expect_code 5
expect_out ""
expect_err "Device v0 already exists."
run vs -v create v0 "$data" "$hash" "$root"
expect_code 5
expect_out "Command failed with code -5 (device already exists or device is busy)."

# The mapping holds the data device; sharing it takes an option.
run vs open "$data" v1 "$hash" "$root"
expect_code 5
expect_out ""
expect_err "Cannot use device $data which is in use (already mapped or mounted).
hint: it is held by device-mapper device v0."
not vs status v1
vs open "$data" v1 "$hash" "$root" --shared
same d /dev/mapper/v1
vs close v1

# close waits silently for a mapping that is in use, and fails.
hold /dev/mapper/v0 1000
run vs close v0
expect_code 5
expect_out ""
expect_err "Device v0 is still in use."
kill $holder
wait $holder || :

# close succeeds if the holder ends in time.
hold /dev/mapper/v0 2
vs close v0
[ ! -e /dev/mapper/v0 ]

for action in close remove; do
    run vs $action nope
    expect_code 4
    expect_out ""
    expect_err "Device nope is not active."
done

# A mount holds a device too, even if the mapping would be shared.
vs open "$data" v0 "$hash" "$root"
vs close v0
cp /images/ext4.img mounted
disk=$(attach mounted)
mkdir -p "mount point"
mount -t ext4 -o ro "$disk" "mount point"
vs format mounted hm >made
for options in "" --shared; do
    # shellcheck disable=SC2086 # no option is no argument
    run vs open "$disk" v0 hm "$(root_hash made)" $options
    expect_code 5
    expect_out ""
    expect_err "Cannot use device $disk which is in use (already mapped or mounted).
hint: it is mounted on $PWD/mount point."
    not dmsetup info v0
    [ "$(losetup -a | wc -l)" = 3 ]
done
umount "mount point"
vs open "$disk" v0 hm "$(root_hash made)"
mount -t ext4 -o ro /dev/mapper/v0 "mount point"
run vs close v0
expect_code 5
expect_out ""
expect_err "Device v0 is still in use.
hint: it is mounted on $PWD/mount point."
umount "mount point"
vs close v0
losetup -d "$disk"
losetup -d "$data"
losetup -d "$hash"
# The refused commands have changed nothing.
cat d h | sha256sum >after
same before after
