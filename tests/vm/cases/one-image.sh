# An image in one file, made without root, opens with the offset that the command finds, with FEC and without. The line
# that `table` prints opens it too.
# long: between
# boots: bare udev

make_image i 300
cp i data
run vs format --append i --salt=724ad0 --fec-roots=2
expect_code 0
root=$(echo "$out" | root_hash)
offset=$(echo "$out" | sed -n 's/^Hash offset:[[:space:]]*\([0-9]*\) .*/\1/p')
fec_offset=$(echo "$out" | sed -n 's/^FEC offset:[[:space:]]*\([0-9]*\) .*/\1/p')
[ "$offset" = 1228800 ]

for options in --hash-offset=auto "--hash-offset=$offset"; do
    vs open i v0 i "$root" "$options"
    cmp -n 1228800 data /dev/mapper/v0
    [ "$(blockdev --getsize64 /dev/mapper/v0)" = 1228800 ]
    vs close v0
done
ref open i v0 i "$root" "--hash-offset=$offset"
same data /dev/mapper/v0
vs close v0

# With parity, if the kernel has FEC.
damage i 4096 10
if [ "$kernel" != 5.10 ]; then
    vs open i v0 i "$root" --hash-offset=auto --fec-device=i "--fec-offset=$fec_offset"
    same data /dev/mapper/v0
    vs close v0
fi
vs repair i i "$root" --hash-offset=auto --fec-device=i "--fec-offset=$fec_offset"
vs verify i i "$root" --hash-offset=auto

# On a block device, opened by the line that `table` prints.
device=$(attach i -r)
vs table "$device" "$device" "$root" --hash-offset=auto --check-at-most-once >line
dmsetup create v1 --readonly <line
# Without udev the kernel neither makes a node nor removes it.
dmsetup mknodes v1
expect_text "the table" "$(cat line)" "$(dmsetup table v1 | sed "s|7:[0-9]*|$device|g")"
same data /dev/mapper/v1
# A block device cannot grow.
run vs format --append "$device"
expect_code 4
expect_err "Device $device is not compatible.
hint: --append needs a regular file; for a block device use --data-blocks and --hash-offset."
dmsetup remove v1
[ "$nodes" = udev ] || rm /dev/mapper/v1
losetup -d "$device"
nothing_left
