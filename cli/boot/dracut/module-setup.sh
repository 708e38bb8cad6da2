#!/bin/bash
# dracut module: opens the root device with dm-verity if the kernel command line has `roothash=`, or a policy wants it.
# shellcheck disable=SC2154 # variables of dracut

check() {
    require_binaries @veritysetup@ || return 1
    # Always included: the kernel command line decides whether it does anything.
    return 0
}

depends() {
    # Rules by which udev makes /dev/mapper/root, and what mounts it.
    echo dm rootfs-block
}

installkernel() {
    # By these names modprobe finds all variants of a hash algorithm. Not only those of this host: the root device may
    # be that of another one.
    hostonly='' instmods dm_mod dm_verity reed_solomon sha256 sha512
}

install() {
    inst_multiple modprobe
    inst_binary @veritysetup@ /usr/sbin/veritysetup
    inst_simple "$moddir/verity-root.sh" /usr/lib/dmverity/verity-root.sh
    inst_simple "$moddir/dracut-root.sh" /usr/lib/dmverity/dracut-root.sh
    # Whom this machine trusts, and what it wants. A link to /dev/null hides a certificate.
    local folder certificate
    for folder in /etc/verity.d /usr/local/lib/verity.d /usr/lib/verity.d; do
        for certificate in "$folder"/*.crt; do
            if [ -f "$certificate" ]; then
                inst_simple "$certificate"
            elif [ -L "$certificate" ] && [ -e "$certificate" ]; then
                mkdir -p "${initdir:?}$folder"
                cp -P "$certificate" "$initdir$certificate"
            fi
        done
    done
    if [ -e /etc/dmverity/policy ] || [ -L /etc/dmverity/policy ]; then
        mkdir -p "$initdir/etc/dmverity"
        if ! cp -L /etc/dmverity/policy "$initdir/etc/dmverity/policy"; then
            # dracut would go on, and what it makes would boot anything.
            dfatal "dmverity: /etc/dmverity/policy cannot be copied"
            exit 1
        fi
    fi
    # Before root= is used.
    inst_hook cmdline 94 "$moddir/parse-verity.sh"
    inst_hook initqueue/settled 50 "$moddir/open-verity.sh"
    inst_hook initqueue/timeout 50 "$moddir/open-verity.sh"
    if dracut_module_included systemd; then
        inst_script "$moddir/verity-generator.sh" "$systemdutildir/system-generators/dracut-dmverity-generator"
    fi
    dracut_need_initqueue
}
