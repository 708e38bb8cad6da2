#!/bin/sh
# dracut's cmdline hook: says that the root device is the verity one, whatever `root=` says.

# shellcheck disable=SC1091,SC2034,SC2154 # files and variables of dracut
type getcmdline >/dev/null 2>&1 || . /lib/dracut-lib.sh
. /usr/lib/dmverity/verity-root.sh

if verity_parse "$(getcmdline)"; then
    # Read by dracut.
    root=block:/dev/mapper/root
    rootok=1
    # Read-only whatever the command line says: the last one counts. And nothing that fsck could do.
    rflags=${rflags:+$rflags,}ro
    fastboot=yes
    # The queue ends when the device is open and could be read, not before.
    echo '[ -e /run/dmverity-root ]' >"$hookdir/initqueue/finished/dmverity.sh"
    if [ -n "$verity_wrong" ]; then
        verity_report >/dev/console 2>&1
        die "dmverity: cannot open the root device: $verity_wrong"
    fi
fi
