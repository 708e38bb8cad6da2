#!/bin/sh
# Makes an initramfs with what a Debian tree holds, in a mount namespace of its own:
#   build.sh TREE MODULES COMMAND...
# MODULES is a folder that holds the kernel's modules; the command runs in the tree.
set -eu

tree=$1
modules=$2
shift 2
# What is mounted here is not to be seen outside. In a chroot the root is no mount that could be told so: then the tree
# is made one, and goes again.
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
# What the packages' own scripts would have done: dracut asks the list of libraries where these are.
chroot "$tree" ldconfig
chroot "$tree" "$@"
