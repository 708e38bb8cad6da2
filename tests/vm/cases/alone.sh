# The static binary needs nothing but the kernel: it works in a root directory that holds only itself and the devices.

mkdir -p root/dev
cp /bin/veritysetup root/
mount -t devtmpfs devtmpfs root/dev
make_image root/d 64
in_root() {
    chroot root /veritysetup "$@"
}
in_root format d h >made
root=$(root_hash made)
in_root verify d h "$root"
in_root dump h
in_root open d v0 h "$root"
same root/d /dev/mapper/v0
in_root status v0 | grep '^  status:      verified$'
in_root close v0
umount root/dev
