# Block devices in place of files, data and hash area on one device or two, with and without superblock: the same.
# boots: bare udev

make_image d 300
cp d image
truncate -s 2M d
one=$(attach d)
vs format "$one" "$one" --data-blocks=300 --hash-offset=1228800 >made
root=$(root_hash made)
vs verify "$one" "$one" --hash-offset=1228800 "$root"
vs open "$one" v0 "$one" --hash-offset=1228800 "$root"
[ "$(blockdev --getsize64 /dev/mapper/v0)" = 1228800 ]
same image /dev/mapper/v0
run vs status v0
echo "$out" | grep "^  data device: $one\$"
echo "$out" | grep "^  hash device: $one\$"
echo "$out" | grep '^  hash offset: 2408 \[512-byte units\] (1232896 \[bytes\])$'
vs close v0
# Devices that were given stay as they were.
losetup -a | grep "^$one: "
losetup -d "$one"

# The same image as a file: it is attached once.
vs open d v0 d --hash-offset=1228800 "$root"
same image /dev/mapper/v0
[ "$(losetup -a | grep -c "$PWD/d")" = 1 ]
vs close v0

# Two devices, no superblock; the hash device is exactly as large as it needs to be.
truncate -s 16K h
data=$(attach image -r)
hash=$(attach h)
vs format "$data" "$hash" --no-superblock --salt=bb --hash=sha1 --format=0 >made
root=$(root_hash made)
vs create v1 "$data" "$hash" --no-superblock --salt=bb --hash=sha1 --format=0 "$root"
same image /dev/mapper/v1
run dmsetup info -c --noheadings -o uuid v1
expect_out "CRYPT-VERITY-v1"
vs status v1 | grep '^  hash type:   0$'
vs remove v1

# A device that is too small is refused before anything is written.
truncate -s 12K small
small=$(attach small)
cp small before
run vs format "$data" "$small" --no-superblock --salt=bb
expect_code 1
expect_err "Device $small is too small.
hint: it has 12288 bytes, 16384 are needed."
same before small
losetup -d "$small"
losetup -d "$data"
losetup -d "$hash"
