#!/bin/sh
# Makes an initramfs from a Debian tree, in a mount namespace of its own:
#   build.sh TREE MODULES COMMAND...
# MODULES is a folder that holds the kernel's modules; the command runs in the tree.
set -eu

tree=$1
modules=$2
shift 2
# Mounts made here must not be seen outside. In a chroot the root is not a mount point that could be made private: then
# the tree becomes one, until the end.
if ! mount --make-rprivate / 2>/dev/null; then
    mount --bind "$tree" "$tree"
    trap 'umount --recursive --lazy "$tree"' EXIT
    mount --make-private "$tree"
fi
for folder in dev proc; do
    mount --rbind "/$folder" "$tree/$folder"
done
mkdir -p "$tree/usr/lib/modules"
mount --bind "$modules" "$tree/usr/lib/modules"
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# The packages' own scripts would have done this: dracut needs the linker's cache to find libraries.
chroot "$tree" ldconfig
chroot "$tree" "$@"
