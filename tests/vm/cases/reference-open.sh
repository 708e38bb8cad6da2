# The reference formats an image on loop devices and opens it. This shows that the devices, the kernel's modules and the
# reference work, so that a failure of another case points to our code.
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
