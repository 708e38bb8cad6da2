#!/bin/sh
# Installs the missing Debian or Ubuntu packages for a purpose, and lists them.
#   tests/setup.sh build|test|demo|chain|bench|field|mca|deb|aarch64|armv7|i686|s390x...
# Needs no network when nothing is missing. Those of `field` are installed if they can be; it goes on without them.
set -eu

# A linker, and the header parser of the devicemapper crate's build script.
build="gcc libc6-dev pkg-config libdevmapper-dev libclang-dev"
# Virtual machines with real kernels: the emulator, decompressors for kernel modules, and the programs in the machine.
machines="qemu-system-x86 kmod xz-utils udev dmsetup cryptsetup-bin keyutils nbd-client"
# The C library: compilers for programs that use it, and the header of the reference with its numbers.
library="gcc g++ libc6-dev binutils libcryptsetup12 libcryptsetup-dev"
# Clients of the NBD protocol: libnbd's programs and its Python module, and qemu's.
nbd="libnbd-bin python3-libnbd qemu-utils fuse3"
# A file system that needs no kernel, on top of a mounted file.
fuse="fuse3 squashfuse"
# The reference tool, images to mount and disks to boot from, signatures and kernels that trust them, a look at the
# order of system calls, and the programs that another project's tests call in the machine. The shells that have
# completions, a terminal for them, the renderer of the manual, and the programs in its examples. Two programs that check
# partition tables.
test="$machines $library e2fsprogs fdisk gdisk squashfs-tools openssl lz4 zstd strace bash coreutils grep mount sed util-linux \
    zsh fish bsdutils mandoc groff-base jq diffutils python3-minimal $nbd $fuse"
demo="$machines squashfs-tools"
# A security module in software, the program that talks to it, and one that makes certificates.
chain="softhsm2 opensc openssl"
# The reference tool is among the packages for the machines. The programs that count instructions (perf, of linux-perf,
# is used too if installed) and that tell how much of a file is in the page cache. Another server, and a client that
# copies from both.
bench="$machines valgrind nbdkit libnbd-bin"
# Older systems have it in util-linux.
command -v fincore >/dev/null || bench="$bench util-linux-extra"
# What the benchmark compares with beside the reference: hashing and erasure codes in memory, and the digests of
# fs-verity. Not every architecture and release has them.
field="libipsec-mb-dev libisal-dev fsverity golang-go golang-github-klauspost-reedsolomon-dev"
# LLVM's models of processors, which estimate how long a loop takes there.
mca="llvm-22"
# The tool that makes fresh systems to install packages in, and Debian's archive keys.
deb="mmdebstrap debian-archive-keyring util-linux"
# For each other processor a linker, a C library, and an emulator; for 64-bit Arm one of a whole machine too.
aarch64="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static qemu-system-arm"
armv7="gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user-static"
i686="gcc-i686-linux-gnu libc6-dev-i386-cross qemu-user-static"
s390x="gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user-static"

packages=
optional=
for group in "$@"; do
    case $group in
    build) packages="$packages $build" ;;
    test) packages="$packages $test" ;;
    demo) packages="$packages $demo" ;;
    chain) packages="$packages $chain" ;;
    bench) packages="$packages $bench" ;;
    field) optional="$optional $field" ;;
    mca) packages="$packages $mca" ;;
    deb) packages="$packages $deb" ;;
    aarch64) packages="$packages $aarch64" ;;
    armv7) packages="$packages $armv7" ;;
    i686) packages="$packages $i686" ;;
    s390x) packages="$packages $s390x" ;;
    *)
        echo "usage: tests/setup.sh build|test|demo|chain|bench|field|mca|deb|aarch64|armv7|i686|s390x..." >&2
        exit 2
        ;;
    esac
done

if ! command -v cargo >/dev/null; then
    echo "Rust is missing: install it with rustup (https://rustup.rs), or put cargo into PATH." >&2
    exit 1
fi
if ! command -v dpkg-query >/dev/null; then
    echo "This is neither Debian nor Ubuntu. What has to be there, by Debian's names:$packages" >&2
    exit 1
fi

# Which of these are not installed.
missing() {
    for package in $(printf '%s\n' "$@" | sort -u); do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf ' %s' "$package"
    done
}

# shellcheck disable=SC2086 # one word each
missing=$(missing $packages)
# shellcheck disable=SC2086 # one word each
wanted=$(missing $optional)
[ -n "$missing$wanted" ] || exit 0

# Passed to apt-get explicitly, because sudo clears the environment.
as_root="env DEBIAN_FRONTEND=noninteractive"
with=
if [ "$(id -u)" != 0 ]; then
    as_root="sudo $as_root"
    with=" (with sudo)"
fi
install() {
    $as_root apt-get install -q -y --no-install-recommends "$@"
}

echo "Installing packages$with:$missing$wanted"
# A package list that cannot be fetched may not be needed.
$as_root apt-get update -q || echo "apt-get update failed, going on with the lists that are there" >&2
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word each
    install $missing
    # A package of another release, which the new ones do not go with, was removed for them.
    missing=$(missing $packages)
    # shellcheck disable=SC2086 # one word each
    [ -z "$missing" ] || install $missing
fi
# One by one, so that one that cannot be had keeps no other away.
for package in $wanted; do
    install "$package" || echo "$package cannot be installed, going on without it" >&2
done
