#!/bin/sh
# dracut's hook in the queue: opens the root device when its devices exist. Runs in each round in which udev is idle,
# and once more when dracut's own time limit (rd.retry=) ends.

# shellcheck disable=SC1091,SC2154 # files and variables of dracut
type getcmdline >/dev/null 2>&1 || . /lib/dracut-lib.sh
. /usr/lib/dmverity/dracut-root.sh

verity_step() {
    if verity_open; then
        : >/run/dmverity-root
        verity_forget_root
        if [ -n "$verity_said" ]; then
            verity_report >/dev/console
        fi
        return 0
    fi
    if [ -n "$verity_missing" ]; then
        verity_clock
        [ -e /run/dmverity-since ] || echo "$verity_now" >/run/dmverity-since
        read -r verity_since </run/dmverity-since
        verity_limit=$(getarg rd.timeout=)
        case $verity_limit in
        # As elsewhere in dracut, 0 means for ever.
        0) verity_limit=$((verity_now + 1)) ;;
        '' | *[!0-9]*) verity_limit=30 ;;
        esac
        case $job in
        */timeout/*) ;;
        *) [ $((verity_now - verity_since)) -ge "$verity_limit" ] || return 0 ;;
        esac
        verity_waited $((verity_now - verity_since))
    fi
    verity_give_up
}

if ! [ -e /run/dmverity-root ] && [ -e "$hookdir/initqueue/finished/dmverity.sh" ]; then
    verity_step
fi
