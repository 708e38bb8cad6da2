#!/bin/sh
# A generator for systemd in dracut's initramfs: mounts the verity device as root, whatever `root=` says. What it writes
# goes to the folder that comes before those of the other generators, which take `root=` as it is.

# shellcheck disable=SC1091 # files of the initramfs
. /lib/dracut-lib.sh
. /usr/lib/dmverity/dracut-root.sh

verity_wanted || exit 0
early=$2

# Sets verity_value to the value of a parameter as a unit can have it: only characters that mean nothing there.
verity_setting() {
    verity_value=$(getarg "$1")
    case $verity_value in
    *[!A-Za-z0-9,.:_=/+@\"-]*)
        echo "dmverity: $1 has characters that are not passed on, and is ignored" >/dev/kmsg
        verity_value=
        ;;
    esac
}

verity_setting rootflags=
options=$verity_value
verity_setting rootfstype=
fstype=$verity_value
cat >"$early/sysroot.mount" <<END
[Unit]
Description=Root file system on dm-verity
Before=initrd-root-fs.target
# Not before its first blocks have been read.
After=dracut-initqueue.service dracut-pre-mount.service

[Mount]
What=/dev/mapper/root
Where=/sysroot
Type=${fstype:-auto}
Options=${options:+$options,}ro
END
mkdir -p "$early/initrd-root-fs.target.requires"
ln -sf ../sysroot.mount "$early/initrd-root-fs.target.requires/sysroot.mount"

# Has the name of the unit that systemd's own generators write for root=, so it replaces that.
mkdir -p "$early/initrd-root-device.target.d"
cat >"$early/initrd-root-device.target.d/50-root-device.conf" <<END
[Unit]
Requires=dev-mapper-root.device
After=dev-mapper-root.device
END
# The code that opens the device decides how long to wait.
mkdir -p "$early/dev-mapper-root.device.d"
cat >"$early/dev-mapper-root.device.d/50-device-timeout.conf" <<END
[Unit]
JobTimeoutSec=infinity
JobRunningTimeoutSec=infinity
END

# systemd's own veritysetup, if it is here, would open the same device.
mkdir -p "$early/veritysetup.target.requires"
ln -sf /dev/null "$early/systemd-veritysetup@root.service"
ln -sf /dev/null "$early/veritysetup.target.requires/systemd-veritysetup@root.service"

# dracut also waits for the device that root= names, which is not needed.
name=$(getarg root=)
if [ -n "$name" ] && [ "${name#block:}" != /dev/mapper/root ]; then
    mkdir -p "$early/initrd.target.wants"
    ln -sf /dev/null "$early/initrd.target.wants/$(dev_unit_name "$(label_uuid_to_dev "${name#block:}")").device"
fi
exit 0
