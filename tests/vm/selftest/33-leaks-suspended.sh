# Leaves a suspended mapping, which blocks its readers, and fails.
# reports: failed with exit code 5, left something behind; its output:.*left behind: device-mapper device: suspended \(dm-0\)\n.*

device=$(losetup -f)
make_image data 4
losetup "$device" data
dmsetup create suspended --table "0 32 linear $device 0"
dmsetup suspend suspended
exit 5
