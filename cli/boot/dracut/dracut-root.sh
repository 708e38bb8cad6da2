#!/bin/sh
# What dracut's hooks and its generator share, beside verity-root.sh. Sourced, after dracut's own functions.

# shellcheck disable=SC1091,SC2034,SC2154 # files and variables of dracut
. /usr/lib/dmverity/verity-root.sh

# The kernel's, and what the initramfs was made with.
verity_line() {
    getcmdline
}

# systemd's generator opens the device for /usr, if both are here.
verity_usr=
for verity_generator in /usr/lib/systemd/system-generators /lib/systemd/system-generators; do
    if [ -x "$verity_generator/systemd-veritysetup-generator" ]; then
        verity_usr=1
    fi
done

# dracut waits for the device that root= names, which is not needed. The files it wrote for that have the name in them.
verity_forget_root() {
    verity_old=$(getarg root=)
    if [ -n "$verity_old" ]; then
        verity_old=$(label_uuid_to_dev "${verity_old#block:}")
        verity_old=$(str_replace "$verity_old" '/' '\x2f')
        rm -f "$hookdir/initqueue/finished/devexists-$verity_old.sh" "$hookdir/emergency/80-$verity_old.sh"
    fi
}

# Ends the boot. dracut puts the message into a script that it runs later, so it is always the same.
verity_give_up() {
    verity_report >/dev/console 2>&1
    die "dmverity: cannot open the root device. The reason is on the console."
}
