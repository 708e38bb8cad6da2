#!/bin/sh
# dracut's cmdline hook: says that the root device is the verity one, whatever `root=` says.

# shellcheck disable=SC1091,SC2034,SC2154 # files and variables of dracut
type getcmdline >/dev/null 2>&1 || . /lib/dracut-lib.sh
. /usr/lib/dmverity/dracut-root.sh

if verity_wanted; then
    # Read by dracut.
    root=block:/dev/mapper/root
    rootok=1
    # Read-only whatever the command line says: the last option is used. And nothing for fsck to do.
    rflags=${rflags:+$rflags,}ro
    fastboot=yes
    # The queue ends when the device is open and could be read, not before.
    echo '[ -e /run/dmverity-root ]' >"$hookdir/initqueue/finished/dmverity.sh"
    verity_forget_root
    if [ -n "$verity_refused" ]; then
        verity_give_up
    fi
fi
