# Block devices give the same results as files, with data and hash area on one device or two, with and without a
# superblock.
# long: between
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
# open leaves the devices it was given as they were.
losetup -a | grep "^$one: "
losetup -d "$one"

# The same image as one file: open attaches it once.
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
hint: it has 12288 bytes, but 16384 are needed."
same before small
losetup -d "$small"
losetup -d "$data"
losetup -d "$hash"

# A loop device and its backing file are the same device, so the root hash must not be written to the file.
truncate -s 64K file closed
loop=$(attach file)
closed=$(attach closed -r)
cp file before
for line in "data $loop new $loop file" "data file new file $loop" "hash d $loop $loop file"; do
    # shellcheck disable=SC2086
    set -- $line
    run vs format "$2" "$3" --data-blocks=2 --root-hash-file="$5"
    expect_code 1
    expect_err "Cannot create root hash file $5 for writing.
hint: it is the $1 device."
done
run vs format d new --fec-device="$loop" --root-hash-file=file
expect_code 1
expect_err "Cannot create root hash file file for writing.
hint: it is the FEC device."
same before file

# A read-only device, and a missing one, which must not be replaced by a new file.
run vs format d "$closed"
expect_code 1
expect_err "Cannot create hash image $closed for writing.
hint: Read-only file system."
run vs format d new --fec-device="$closed"
expect_code 1
expect_err "Cannot create FEC image $closed for writing.
hint: Read-only file system."
for node in /dev/nosuch /dev/mapper/nosuch /dev/disk/by-partuuid/nosuch; do
    for options in "$node" "new --fec-device=$node"; do
        # shellcheck disable=SC2086
        run vs format d $options
        expect_code 4
        expect_err "Device $node does not exist or access denied.
hint: veritysetup creates no files in a directory of device nodes."
    done
    [ ! -e "$node" ]
done
[ ! -e new ]
losetup -d "$loop"
losetup -d "$closed"
