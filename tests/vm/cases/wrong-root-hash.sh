# The kernel does not check the root hash before the first read: the image opens, nothing can be read, and the status
# says corrupted.
# boots: bare udev

make_image d 64
vs format d h >/dev/null
root=0000000000000000000000000000000000000000000000000000000000000000
run vs open d v0 h "$root"
expect_code 0
# With udev, which reads the new device, the first read has already happened.
if [ "$nodes" = udev ]; then
    expect_err "Verity device detected corruption after activation."
else
    expect_err ""
fi
not dd if=/dev/mapper/v0 of=/dev/null bs=4096 count=1
run vs status v0
expect_code 0
echo "$out" | grep '^  status:      corrupted$'
vs close v0
