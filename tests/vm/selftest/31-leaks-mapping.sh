# Leaves a mapping, which is mounted, and on a loop device: each is named.
# images: ext4
# reports: left something behind; its output:.*left behind: mounted: /tmp/case/here\nleft behind: device-mapper device: left \(dm-0\)\nleft behind: device node: /dev/mapper/left\nleft behind: loop device: loop0 on /images/ext4.img\n.*

device=$(attach /images/ext4.img -r)
dmsetup create left --readonly --table "0 $(blockdev --getsz "$device") linear $device 0"
mkdir here
mount -t ext4 -o ro /dev/mapper/left here
