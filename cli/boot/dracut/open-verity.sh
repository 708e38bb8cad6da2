#!/bin/sh
# dracut's hook in the queue: opens the root device when what it lies on is there. Runs in each round that finds udev at rest,
# and once more when dracut's own patience (rd.retry=) is at its end.

# shellcheck disable=SC1091,SC2154 # files and variables of dracut
type getcmdline >/dev/null 2>&1 || . /lib/dracut-lib.sh
. /usr/lib/dmverity/verity-root.sh

verity_step() {
    if verity_missing; then
        verity_clock
        [ -e /run/dmverity-since ] || echo "$verity_now" >/run/dmverity-since
        read -r verity_since </run/dmverity-since
        verity_limit=$(getarg rd.timeout=)
        case $verity_limit in
        # As elsewhere in dracut, 0 is without end.
        0) verity_limit=$((verity_now + 1)) ;;
        '' | *[!0-9]*) verity_limit=30 ;;
        esac
        case $job in
        */timeout/*) ;;
        *) [ $((verity_now - verity_since)) -ge "$verity_limit" ] || return 0 ;;
        esac
        verity_reason="$verity_reason (waited for $((verity_now - verity_since)) seconds)"
    elif verity_open; then
        : >/run/dmverity-root
        # Nobody waits for the device that root= names.
        verity_old=$(getarg root=)
        if [ -n "$verity_old" ]; then
            verity_old=$(label_uuid_to_dev "${verity_old#block:}")
            rm -f "$hookdir/initqueue/finished/devexists-$(str_replace "$verity_old" '/' '\x2f').sh"
        fi
        if [ -n "$verity_said" ]; then
            echo "$verity_said" >/dev/console
        fi
        return 0
    fi
    verity_report >/dev/console 2>&1
    die "dmverity: cannot open the root device: $verity_reason"
}

if ! [ -e /run/dmverity-root ] && verity_parse "$(getcmdline)" && [ -z "$verity_wrong" ]; then
    verity_step
fi
