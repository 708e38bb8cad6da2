# The main use: an image in two files is opened, read back completely, shown in the form callers expect, and closed
# without leaving anything.
# boots: bare udev
# arm64: 6.12-arm64 6.12-arm64-16k 7-arm64

make_image d 2048
run vs format d h --salt=724ad0 --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71
expect_code 0
root=$(echo "$out" | root_hash)

run vs open d v0 h "$root"
expect_code 0
expect_out ""
expect_err ""
same d /dev/mapper/v0

# The node: udev's link, or without udev a block node that the command makes.
if [ "$nodes" = udev ]; then
    [ -L /dev/mapper/v0 ]
else
    [ ! -L /dev/mapper/v0 ]
    [ "$(stat -c '%F %a %u:%g' /dev/mapper/v0)" = "block special file 660 0:6" ]
fi

# The table is as the kernel's documentation describes it, with the numbers of the loop devices and our uuid.
data=$(losetup -a | sed -n "s|^\(/dev/loop[0-9]*\): .* $PWD/d\$|\1|p")
hash=$(losetup -a | sed -n "s|^\(/dev/loop[0-9]*\): .* $PWD/h\$|\1|p")
run dmsetup table v0
expect_out "0 16384 verity 1 7:${data#/dev/loop} 7:${hash#/dev/loop} 4096 4096 2048 1 sha256 $root 724ad0"
run dmsetup info -c --noheadings -o uuid,attr v0
expect_out "CRYPT-VERITY-3bc1c38a4d33404fb0e29644e20ffa71-v0:L--r"
# The loop devices are read-only and detach when their last user closes them.
for device in "$data" "$hash"; do
    [ "$(cat "/sys/block/${device#/dev/}/ro")" = 1 ]
    [ "$(cat "/sys/block/${device#/dev/}/loop/autoclear")" = 1 ]
done

status() {
    echo "/dev/mapper/v0 is active$1.
  type:        VERITY
  status:      verified
  hash type:   1
  data block:  4096 [bytes]
  hash block:  4096 [bytes]
  hash name:   sha256
  salt:        724ad0
  data device: $data
  data loop:   $PWD/d
  size:        16384 [512-byte units] (8388608 [bytes])
  mode:        readonly
  hash device: $hash
  hash loop:   $PWD/h
  hash offset: 8 [512-byte units] (4096 [bytes])
  root hash:   $root"
}
for name in v0 /dev/mapper/v0; do
    run vs status "$name"
    expect_code 0
    expect_out "$(status "")"
    expect_err ""
done
run sh -c 'exec 9</dev/mapper/v0; /bin/veritysetup status v0 9<&-; exec 9<&-'
expect_out "$(status " and is in use")"

run vs close v0
expect_code 0
expect_out ""
expect_err ""
run vs status v0
expect_code 4
expect_out "/dev/mapper/v0 is inactive."
expect_err ""
[ ! -e /dev/mapper/v0 ]
