# Runs programs of the Debian on /dev/vda, in a machine whose case asks for it with `# debian:`.

tree=/run/tree

# Mounts the tree so that it can be written to, shares the machine's devices with it, and starts its udevd.
enter_debian() {
    mkdir -p /run/lower /run/upper $tree
    modprobe -a overlay squashfs virtio_pci virtio_blk
    mount -t squashfs -o ro /dev/vda /run/lower
    mount -t tmpfs tmpfs /run/upper
    mkdir -p /run/upper/files /run/upper/work
    mount -t overlay -o lowerdir=/run/lower,upperdir=/run/upper/files,workdir=/run/upper/work overlay $tree
    # systemd merges extensions in a mount namespace of its own, and relies on mounts propagating to the others.
    mount --make-shared $tree
    for folder in dev proc sys; do
        mount --rbind /$folder $tree/$folder
    done
    for folder in tmp run var/tmp; do
        mount -t tmpfs tmpfs $tree/$folder
    done
    mkdir -p $tree/ours $tree/usr/lib/modules
    mount --bind /usr/lib/modules $tree/usr/lib/modules
    cp /files/libcryptsetup.so.12 $tree/ours
    printf 'root:x:0:0:root:/root:/bin/sh\n' >$tree/etc/passwd
    printf 'root:x:0:\ntty:x:5:\ndisk:x:6:\nkmem:x:15:\n' >$tree/etc/group
    library=
    debian /usr/lib/systemd/systemd-udevd --daemon
    debian udevadm trigger --action=add --subsystem-match=block
    debian udevadm settle
}

# Ends what the tree runs, and unmounts it.
leave_debian() {
    debian udevadm control --exit || :
    for folder in usr/lib/modules var/tmp run tmp sys proc dev; do
        umount -l $tree/$folder
    done
    # A program may take a moment to end.
    for wait in $(seq 50); do
        ! umount $tree || break
        sleep 0.1
    done
    umount /run/upper /run/lower
}

# Runs a program of the tree, on the C library in the folder $library of it, if that is not empty.
debian() {
    chroot $tree /usr/bin/env -i PATH=/usr/sbin:/usr/bin LC_ALL=C SYSTEMD_LOG_COLOR=0 SYSTEMD_IGNORE_CHROOT=1 \
        ${library:+LD_LIBRARY_PATH=$library} "$@"
}
