#!/bin/sh
# Makes an initramfs with what a Debian tree holds, in a mount namespace of its own:
#   build.sh TREE MODULES COMMAND...
# MODULES is a folder that holds the kernel's modules; the command runs in the tree.
set -eu

tree=$1
modules=$2
shift 2
for folder in dev proc; do
    mount --rbind "/$folder" "$tree/$folder"
done
mkdir -p "$tree/usr/lib/modules"
mount --bind "$modules" "$tree/usr/lib/modules"
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# What the packages' own scripts would have done: dracut asks the list of libraries where these lie.
chroot "$tree" ldconfig
exec chroot "$tree" "$@"
