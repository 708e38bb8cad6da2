# Disk images that `build` makes open in one argument: as a file, on a loop device with nodes of its partitions and
# without, and on a disk whose sectors have 4096 bytes. So do images with their hash tree in a sidecar, and a layer of
# containerd. What is damaged, or not signed by whom it has to be, is refused. Not with pages of 16 KiB: busybox's
# dd reads whole pages.
# long: between
# kernels: 6.1 6.12 7 6.12-arm64 7-arm64
# signatures: forms

signers=/signatures/forms
make_image content 60
# Zeros fill the last block up.
head -c $((60 * 4096 - 10)) content >fs
dd if=/dev/zero of=content bs=1 seek=$((60 * 4096 - 10)) count=10 conv=notrunc 2>/dev/null

# opens IMAGE OPTIONS...: the image opens without a word and reads back.
opens() {
    image=$1
    shift
    run vs open "$image" v0 "$@"
    expect_code 0
    expect_out ""
    expect_err ""
    same content /dev/mapper/v0
}

# refused CODE LINE IMAGE OPTIONS...: the image does not open, for the reason in the first line.
refused() {
    wanted=$1 line=$2 image=$3
    shift 3
    run vs open "$image" v0 "$@"
    expect_code "$wanted"
    expect_out ""
    expect_text "the first line" "$line" "$(echo "$err" | head -n 1)"
    refused_as_json
    nothing_left
}

# partitions IMAGE: a line with offset and size of the partitions for data and hash tree.
partitions() {
    vs inspect "$1" | sed -n 's/^Partition [12]:.* \([0-9]*\) \[bytes\] at byte \([0-9]*\) .*/\2 \1/p'
}

# parts FILE: a line with offset and size limit of each loop device on it. All are read-only and detach themselves.
parts() {
    for loop in /sys/block/loop*; do
        if [ "$(cat "$loop/loop/backing_file" 2>/dev/null)" = "$1" ]; then
            [ "$(cat "$loop/ro")$(cat "$loop/loop/autoclear")" = 11 ]
            echo "$(cat "$loop/loop/offset") $(cat "$loop/loop/sizelimit")"
        fi
    done | sort -n
}

# device_of PARAMETER: the device in this place of the table.
device_of() {
    dmsetup table v0 | cut -d ' ' -f "$1"
}

# unreadable: the second data block of the open image is not returned, the first one is.
unreadable() {
    dd if=/dev/mapper/v0 of=/dev/null bs=4096 count=1 iflag=direct
    run dd if=/dev/mapper/v0 of=/dev/null bs=4096 skip=1 count=1 iflag=direct
    [ "$code" != 0 ] || fail "a tampered block was read"
    echo "$err" | grep "Input/output error"
    vs status v0 | grep '^  status:      corrupted$'
}

for sector in 512 4096; do
    vs build --output=plain.$sector --root=fs --salt-seed=x --sector-size=$sector --root-hash-file=root-hash
    vs build --output=fec.$sector --root=fs --salt-seed=x --sector-size=$sector --fec-roots=2 \
        --key=$signers/rsa.key --certificate=$signers/rsa.pem
    # As files: the parity is in the partition of the tree.
    for image in plain.$sector fec.$sector; do
        opens $image --root-hash-file=root-hash
        partitions $image >expected
        parts "$PWD/$image" >found
        same expected found
        parities=$(dmsetup table v0 | grep -c " use_fec_from_device $(device_of 6) " || :)
        [ "$parities" = "$(echo $image | grep -c fec)" ]
        vs close v0
        nothing_left
    done
    # One bad byte.
    start=$(partitions plain.$sector | head -n 1 | cut -d ' ' -f 1)
    for image in plain.$sector fec.$sector; do
        damage $image $((start + 4096 + 17)) 1
    done
    vs open plain.$sector v0 --root-hash-file=root-hash
    unreadable
    vs close v0
    opens fec.$sector --root-hash-file=root-hash
    vs status v0 | grep '^  status:      verified$'
    vs close v0
    for image in plain.$sector fec.$sector; do
        damage $image $((start + 4096 + 17)) 1
    done
done
nothing_left

# On a block device: the kernel's partitions if it has them, otherwise parts of the disk.
disk=$(attach fec.512 -r)
opens "$disk" --root-hash-file=root-hash
parts "$disk" >found
partitions fec.512 >expected
same expected found
vs close v0
losetup -d "$disk"
nothing_left
disk=$(attach fec.512 -r -P)
opens "$disk" --root-hash-file=root-hash
expect_text "the devices" "$(cat "/sys/class/block/${disk#/dev/}p1/dev" "/sys/class/block/${disk#/dev/}p2/dev")" \
    "$(device_of 5; device_of 6)"
[ -z "$(parts "$disk")" ]
vs close v0
losetup -d "$disk"
nothing_left
# A device may be larger than the image that was written to it; a file is the image.
cp fec.512 larger
head -c 1048576 /dev/zero >>larger
disk=$(attach larger -r)
opens "$disk" --root-hash-file=root-hash
vs close v0
losetup -d "$disk"
refused 2 "larger is not a usable disk image." larger --root-hash-file=root-hash
nothing_left
# A disk with large sectors, and an image that is as large.
mv content content.60
make_image content 491
vs build --output=exact --root=content --min-size --sector-size=4096 --root-hash-file=exact.hash \
    --key=$signers/rsa.key --certificate=$signers/rsa.pem
modprobe sd_mod
if modprobe scsi_debug sector_size=4096 dev_size_mb=2; then
    disk=/dev/sda partition=sda without="rmmod scsi_debug"
    # The kernel looks at the disk in the background.
    while [ ! -b $disk ]; do
        sleep 0.1
    done
else
    # Debian's small kernels for 64-bit Arm have no such disk.
    head -c 2097152 /dev/zero >disk
    disk=$(/ref/losetup --show -f -P -b 4096 disk)
    partition=${disk#/dev/}p without="losetup -d $disk"
fi
trap '$without' EXIT
[ "$(stat -c %s exact)" = "$(blockdev --getsize64 $disk)" ]
dd if=exact of=$disk bs=4096 2>/dev/null
sync
blockdev --rereadpt $disk
opens $disk --root-hash-file=exact.hash
expect_text "the devices" "$(cat /sys/class/block/${partition}1/dev /sys/class/block/${partition}2/dev)" \
    "$(device_of 5; device_of 6)"
vs close v0
$without
trap - EXIT
mv content.60 content
nothing_left

# Without a root hash only the signature of a trusted signer opens an image.
for trust in --trusted=$signers/rsa.pem --ca=$signers/issuer.pem; do
    opens fec.512 $trust
    vs close v0
done
number=$(vs signature lint $signers/plain | sed -n 's/^Signer: *[[:space:]]//p')
refused 2 "Signature refused: signed by $number, which is not trusted." fec.512 --trusted=$signers/p256.pem
refused 2 "There is no signature of the root hash to be checked." plain.512 --trusted=$signers/rsa.pem
refused 2 "The image is not opened: nothing proves the root hash, which comes from the UUIDs of the partitions of plain.512." \
    plain.512
refused 2 "The image does not agree with the policy." plain.512 --root-hash-file=root-hash --policy=root=signed

# The kernel gets the stored signature if it is to check it too.
refused 1 "Root hash signature is not trusted by the kernel." fec.512 --trusted=$signers/rsa.pem \
    --root-hash-signature=auto
if [ "$kernel" = 7 ]; then
    # Reloads dm-verity with these parameters, which makes a new keyring too.
    reload() {
        rmmod dm_verity
        modprobe dm-verity "$@"
    }
    trap 'vs close v0 || dmsetup remove v0 || :; reload' EXIT
    reload keyring_unsealed=1
    vs keyring add $signers/rsa.pem
    vs keyring seal
    not vs keyring add $signers/p256.pem
    opens fec.512 --root-hash-file=root-hash --root-hash-signature=auto
    vs status v0 | grep -x "  status:      verified (with signature)"
    vs close v0
    nothing_left
fi

# A hash tree next to the image, with a signature and without.
cp content app.raw
vs format --sidecars app.raw >made
opens app.raw --root-hash-file=app.roothash
parts "$PWD/app.raw" >found
parts "$PWD/app.verity" >>found
expect_text "the loop devices" "0 0
0 0" "$(cat found)"
vs close v0
refused 2 "There is no signature of the root hash to be checked." app.raw --trusted=$signers/rsa.pem
vs sign --root-hash-file=app.roothash --key=$signers/rsa.key --certificate=$signers/rsa.pem -o app.roothash.p7s
opens app.raw --trusted=$signers/rsa.pem
vs close v0
nothing_left

# A layer of containerd, whose hash tree follows its data.
cp content layer.erofs
vs format --containerd layer.erofs >made
root=$(sed -n 's/^  "roothash": "\([0-9a-f]*\)",$/\1/p' layer.erofs.dmverity)
expect_text "the root hash" "$(root_hash made)" "$root"
opens layer.erofs --root-hash="$root"
vs close v0
nothing_left
