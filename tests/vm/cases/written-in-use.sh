# A block device that a mapping or a mount uses is neither formatted nor repaired.
# long: between
# images: ext4

make_image d 64
cp d image
truncate -s 128K h
truncate -s 64K f
data=$(attach d)
hash=$(attach h)
fec=$(attach f)
vs format "$data" "$hash" --fec-device="$fec" >made
root=$(root_hash made)
for device in "$data" "$hash" "$fec"; do cat "$device"; done | sha256sum >before

# still: fails unless the contents of the devices are unchanged.
still() {
    for device in "$data" "$hash" "$fec"; do cat "$device"; done | sha256sum >after
    same before after
}

# refuses DEVICE HOLDER COMMAND...: fails unless the command is refused because HOLDER uses DEVICE.
refuses() {
    device=$1 holder=$2
    shift 2
    run vs "$@"
    expect_code 5
    expect_out ""
    expect_err "Cannot use device $device which is in use (already mapped or mounted).
hint: $holder."
    still
}

vs open "$data" v0 "$hash" "$root"
mapped="it is held by device-mapper device v0"
refuses "$hash" "$mapped" format "$data" "$hash"
refuses "$hash" "$mapped" format image "$hash" --fec-device="$fec"
refuses "$hash" "$mapped" format image new --fec-device="$hash"
refuses "$data" "$mapped" format image "$data"
[ ! -e new ]
refuses "$data" "$mapped" repair "$data" "$hash" --fec-device="$fec" "$root"
refuses "$hash" "$mapped" repair image "$hash" --fec-device="$fec" "$root"
# The check identifies the device by its number, not by its name.
ln -s "$hash" link
refuses link "$mapped" format image link
vs close v0

# One command may use the same device more than once.
vs format "$data" "$data" --data-blocks=10 --hash-offset=40960 --fec-device="$data" --fec-offset=131072 >made
vs repair "$data" "$data" --hash-offset=40960 --fec-device="$data" --fec-offset=131072 "$(root_hash made)"
losetup -d "$data"
losetup -d "$hash"

cp /images/ext4.img mounted
hash=$(attach mounted)
mkdir mnt
mount -t ext4 "$hash" mnt
run vs format image "$hash"
expect_code 5
expect_out ""
expect_err "Cannot use device $hash which is in use (already mapped or mounted).
hint: it is mounted on $PWD/mnt."
umount mnt
vs format image "$hash" >made
vs verify image "$hash" "$(root_hash made)"
losetup -d "$hash"
losetup -d "$fec"
nothing_left
