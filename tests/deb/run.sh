#!/bin/sh
# Installs, upgrades and removes the Debian packages beside the distribution's own veritysetup, in every order, in fresh
# Debian systems, and looks at each file that is left.
#   tests/deb/run.sh FOLDER_OF_PACKAGES [SUITE...]
# Needs root, or a user namespace with more than one user in it; and the network for the first time.
set -eu

cd "$(dirname "$0")/../.."
packages=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- trixie bookworm

# Mounts and processes end with the namespaces. Called again in there.
if [ -z "${IN_NAMESPACE:-}" ]; then
    namespaces="--mount --pid --fork --kill-child"
    [ "$(id -u)" = 0 ] || namespaces="--map-root-user --map-auto $namespaces"
    # shellcheck disable=SC2086 # one word each
    if ! IN_NAMESPACE=yes unshare $namespaces true; then
        echo "the package is tested in systems of its own, which needs root, or a user with a range in /etc/subuid and the" \
            "package uidmap: sudo make test-deb" >&2
        exit 1
    fi
    # shellcheck disable=SC2086
    IN_NAMESPACE=yes exec unshare $namespaces "$0" "$packages" "$@"
fi

# Removes the system, except for the cache.
root=
clean() {
    [ -n "$root" ] || return 0
    umount -R "$root/dev" "$root/proc" 2>/dev/null || :
    rm -rf --one-file-system "$root"
    root=
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

mkdir -p target/deb/systems
for suite in "$@"; do
    system=target/deb/systems/$suite.tar
    if [ -z "$(find "$system" -newer tests/deb/chroot.sh 2>/dev/null)" ]; then
        echo "=== $suite: making a system, which is kept as $system"
        tests/deb/chroot.sh "$suite" "$system"
    fi

    echo "=== $suite: testing $(cd "$packages" && echo *.deb) in a fresh copy of $system"
    root=$(mktemp -d target/deb/systems/"$suite".XXXXXX)
    root=$(realpath "$root")
    chmod 755 "$root"
    tar -x -f "$system" -C "$root" --numeric-owner --exclude='./dev/*'
    mount -t proc proc "$root/proc"
    # Device nodes cannot be created in a user namespace, but bind-mounted.
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for node in null zero full random urandom tty; do
        : >"$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    ln -s /proc/self/fd "$root/dev/fd"

    cp "$packages"/dmverity-tools_*.deb "$root/packages/dmverity-tools.deb"
    cp "$packages"/libcryptsetup12-dmverity_*.deb "$root/packages/library.deb"
    cp "$packages"/libcryptsetup12-dmverity-dev_*.deb "$root/packages/library-dev.deb"
    cp tests/deb/guest.sh "$root/packages"
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        chroot "$root" sh /packages/guest.sh
    clean
    echo "=== $suite: all orders passed"
done
