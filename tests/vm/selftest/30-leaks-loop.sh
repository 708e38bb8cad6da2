# Leaves a loop device.
# reports: left something behind; its output:.*left behind: loop device: loop0 on /tmp/case/data\n.*

make_image data 4
losetup /dev/loop0 data
