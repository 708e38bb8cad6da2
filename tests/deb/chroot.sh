#!/bin/sh
# Makes a small Debian system, as a tar file, with the package cryptsetup-bin beside it, not installed.
#   tests/deb/chroot.sh SUITE OUTPUT.tar
# The packages come from the archive in the machine's own package sources, or from DEBIAN_MIRROR.
set -eu

suite=$1
output=$2

# shellcheck disable=SC2016 # apt expands it
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' \
    'Origin: Debian' 'Label: Debian' 'Component: main' 'Created-By: Packages' | head -n 1)}
if [ -z "$mirror" ]; then
    echo "nothing of Debian's can be fetched: the machine's package lists are of no Debian archive (apt-get update reads" \
        "them); set DEBIAN_MIRROR to the address of one" >&2
    exit 1
fi

# All dependencies of cryptsetup-bin stay, so that it can be installed offline; the programs that read manual pages and
# hooks are included. The archive may be a copy of any age; its signature is checked.
# shellcheck disable=SC2016 # mmdebstrap expands them
mmdebstrap --mode=root --format=tar --variant=minbase --include=cryptsetup-bin,initramfs-tools,man-db \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    --customize-hook='chroot "$1" sh -c "mkdir /packages && cd /packages && apt-get -q download cryptsetup-bin"' \
    --customize-hook='chroot "$1" dpkg --purge cryptsetup-bin' \
    "$suite" "$output.part" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
mv "$output.part" "$output"
