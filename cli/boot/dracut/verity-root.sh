#!/bin/sh
# What both kinds of initramfs share: asks the command what the kernel command line says about the root device, and
# opens it. Sourced, by klibc's shell too, which comes with only a few tools. The script that sources it defines
# verity_line, which prints the kernel command line, and sets verity_usr if something else opens the device for /usr.
#
# The shell never takes the command line apart: the command reads it, and answers in fixed words. If there is no
# command, if it crashes or if its answer is not known here, a command line that has `roothash=`, `usrhash=` or a policy
# anywhere does not boot, and neither does an initramfs with a policy.
#
#   verity_wanted       whether the root device has to be the verity one; sets verity_refused if it cannot be
#   verity_open         opens /dev/mapper/root, and /dev/mapper/usr if the command line asks for that too and nothing
#                       else opens it; otherwise sets verity_missing to the device that is not there yet, if that is why
#   verity_report       prints why there is no root device

# shellcheck disable=SC2034 # variables for those who source this
verity_command=/usr/sbin/veritysetup
verity_policy=/etc/dmverity/policy
verity_because='dmverity: cannot open the root device:'

# Calls the command; sets verity_said to all that it says, and verity_answer to that when there is but one line.
verity_run() {
    verity_refused=
    verity_missing=
    [ -n "$verity_usr" ] || set -- --with-usr "$@"
    verity_said=$(verity_line | "$verity_command" open --from-cmdline=/proc/self/fd/0 "$@" 2>&1)
    verity_answer=$?:$verity_said
}

# Whether the command line has what must not be overlooked, in whatever form and with quotation marks anywhere, or this
# initramfs has.
verity_mentioned() {
    verity_ifs=$IFS
    set -f
    IFS=\'\"
    # shellcheck disable=SC2046 # divided at quotation marks
    set -- $(verity_line)
    IFS=
    verity_bare="$*"
    IFS=$verity_ifs
    set +f
    case $verity_bare in
    *roothash=* | *usrhash=* | *image?policy=* | *dmverity.image=*) return 0 ;;
    esac
    # A link to nowhere was meant to lead to a policy.
    [ -e "$verity_policy" ] || [ -L "$verity_policy" ]
}

verity_wanted() {
    verity_run --dry-run
    case $verity_answer in
    0:asked) return 0 ;;
    0:switched-off) return 1 ;;
    # What opens the device for /usr reads its parameters.
    '0:asked usr') [ -z "$verity_usr" ] || return 0 ;;
    '0:not-asked usr') [ -z "$verity_usr" ] || return 1 ;;
    # A boot that does not ask for verity does not depend on the command.
    *) verity_explained || verity_mentioned || return 1 ;;
    esac
    verity_explain
    verity_refused=1
    return 0
}

# Whether the command has given a reason.
verity_explained() {
    case $verity_said in
    *'dmverity: cannot open '*) return 0 ;;
    esac
    return 1
}

# Says so if the command has given no reason.
verity_explain() {
    verity_explained || verity_said="$verity_because $verity_command gives no answer that is understood
$verity_said"
}

# Moves the first of several lines to verity_answer.
verity_split() {
    verity_answer="${verity_said%%
*}"
    verity_said="${verity_said#*
}"
}

verity_open() {
    modprobe -a -q dm-mod dm-verity 2>/dev/null
    verity_run
    case $verity_answer in
    0:opened) verity_said= ;;
    # Warnings are before it.
    0:*'
opened') verity_said="${verity_said%
*}" ;;
    4:missing\ /*)
        verity_split
        verity_missing="${verity_answer#missing }"
        return 1
        ;;
    *)
        verity_explain
        return 1
        ;;
    esac
}

# Adds how long a missing device was waited for, to the line that names it.
verity_waited() {
    verity_split
    verity_said="$verity_answer (waited for $1 seconds)
$verity_said"
}

verity_report() {
    printf '%s\n' "$verity_said"
}

# Sets verity_now to the seconds since the start of the machine.
verity_clock() {
    read -r verity_now verity_rest </proc/uptime
    verity_now=${verity_now%%.*}
}
