# The reference formats an image on loop devices and opens it: the devices, the kernel's modules and the reference are
# all in order, so that what fails in other cases fails because of us.
# boots: bare udev

make_image data 64
: >hash
truncate -s 64K hash
data=$(attach data)
hash=$(attach hash)
root=$(ref format "$data" "$hash" | root_hash)

ref open "$data" reference "$hash" "$root"
same data /dev/mapper/reference
run dmsetup status reference
expect_code 0
case $out in
*' verity V'*) ;;
*) fail "the status is $out" ;;
esac
ref close reference

losetup -d "$data"
losetup -d "$hash"
