#!/bin/sh
# What both kinds of initramfs share: reads from the kernel command line how the root device is to be opened, opens it, and
# looks whether it can be read. Sourced, by klibc's shell too, which has no tools but the plainest around it. Nothing here
# prints but verity_report, and nothing but the functions and variables named verity_* is touched.
#
#   verity_parse CMDLINE    whether the command line asks for a verity root device; sets verity_wrong where it does so with
#                           something that cannot be followed
#   verity_missing          whether a device is not there yet; sets verity_reason and verity_hints
#   verity_open             opens /dev/mapper/root, or sets verity_reason, verity_said (the command's words), verity_hints
#   verity_report           prints these

# shellcheck disable=SC2034 # variables for those who source this
verity_command=/usr/sbin/veritysetup

# Sets verity_lowered to $1 with the hexadecimal digits in lower case.
verity_lower() {
    verity_rest=$1
    verity_lowered=
    while [ -n "$verity_rest" ]; do
        verity_digit=${verity_rest%"${verity_rest#?}"}
        case $verity_digit in
        A) verity_digit=a ;;
        B) verity_digit=b ;;
        C) verity_digit=c ;;
        D) verity_digit=d ;;
        E) verity_digit=e ;;
        F) verity_digit=f ;;
        esac
        verity_lowered=$verity_lowered$verity_digit
        verity_rest=${verity_rest#?}
    done
}

# Sets verity_path to what udev calls the partition whose UUID are the 32 hexadecimal digits that $1 begins with.
verity_partition() {
    verity_rest=$1
    verity_path=/dev/disk/by-partuuid/
    for verity_part in '????????' '????' '????' '????' '????????????'; do
        # shellcheck disable=SC2295 # a pattern, on purpose
        verity_tail=${verity_rest#$verity_part}
        verity_path=$verity_path${verity_rest%"$verity_tail"}-
        verity_rest=$verity_tail
    done
    verity_path=${verity_path%-}
}

# Sets verity_path to the device that $1 names, or fails.
verity_device() {
    case $1 in
    /dev/?*) verity_path=$1 ;;
    UUID=?*) verity_path=/dev/disk/by-uuid/${1#*=} ;;
    PARTUUID=?*)
        verity_lower "${1#*=}"
        verity_path=/dev/disk/by-partuuid/$verity_lowered
        ;;
    LABEL=?* | PARTLABEL=?*)
        verity_rest=${1#*=}
        verity_path=
        # udev writes a slash in a label like this.
        while :; do
            case $verity_rest in
            */*)
                verity_path=$verity_path${verity_rest%%/*}'\x2f'
                verity_rest=${verity_rest#*/}
                ;;
            *) break ;;
            esac
        done
        verity_path=$verity_path$verity_rest
        case $1 in
        LABEL=*) verity_path=/dev/disk/by-label/$verity_path ;;
        *) verity_path=/dev/disk/by-partlabel/$verity_path ;;
        esac
        ;;
    *) return 1 ;;
    esac
}

verity_parse() {
    verity_root_hash=
    verity_asked=
    verity_enabled=1
    verity_data_name=
    verity_hash_name=
    verity_options=
    verity_wrong=
    verity_said=
    verity_hints=
    # Words of the command line are words of the shell, but no patterns.
    case $- in
    *f*) verity_restore=-f ;;
    *) verity_restore=+f ;;
    esac
    set -f
    # shellcheck disable=SC2086 # one word each
    set -- $1
    set $verity_restore
    for verity_word in "$@"; do
        while :; do
            case $verity_word in
            *\"*) verity_word=${verity_word%%\"*}${verity_word#*\"} ;;
            *) break ;;
            esac
        done
        verity_value=${verity_word#*=}
        # The last of each counts.
        case $verity_word in
        roothash=*)
            verity_asked=1
            verity_root_hash=$verity_value
            ;;
        systemd.verity=* | rd.systemd.verity=*)
            case $verity_value in
            0 | no | n | false | f | off) verity_enabled= ;;
            1 | yes | y | true | t | on) verity_enabled=1 ;;
            *) verity_wrong="$verity_word is neither yes nor no" ;;
            esac
            ;;
        systemd.verity_root_data=*) verity_data_name=$verity_value ;;
        systemd.verity_root_hash=*) verity_hash_name=$verity_value ;;
        systemd.verity_root_options=*) verity_options=$verity_value ;;
        esac
    done
    if [ -z "$verity_asked" ] || [ -z "$verity_enabled" ]; then
        return 1
    fi
    verity_resolve
    verity_reason=$verity_wrong
    return 0
}

# Turns the words of the command line into devices and arguments of the command, or sets verity_wrong.
verity_resolve() {
    case $verity_root_hash in
    '')
        verity_wrong="roothash= is empty"
        return
        ;;
    *[!0-9A-Fa-f]*)
        verity_wrong="roothash=$verity_root_hash is not hexadecimal"
        return
        ;;
    esac
    if [ ${#verity_root_hash} -lt 32 ]; then
        verity_wrong="roothash=$verity_root_hash is too short"
        return
    fi
    verity_lower "$verity_root_hash"
    verity_root_hash=$verity_lowered

    # As in the Discoverable Partitions Specification.
    if [ -z "$verity_data_name" ]; then
        verity_partition "$verity_root_hash"
    elif ! verity_device "$verity_data_name"; then
        verity_wrong="systemd.verity_root_data=$verity_data_name names no device"
        return
    fi
    verity_data=$verity_path
    if [ -z "$verity_hash_name" ]; then
        verity_rest=$verity_root_hash
        while [ ${#verity_rest} -gt 32 ]; do
            verity_rest=${verity_rest#?}
        done
        verity_partition "$verity_rest"
    elif ! verity_device "$verity_hash_name"; then
        verity_wrong="systemd.verity_root_hash=$verity_hash_name names no device"
        return
    fi
    verity_hash=$verity_path
    verity_fec=
    verity_arguments=
    verity_options=$verity_options,
    while [ -n "$verity_options" ]; do
        verity_option=${verity_options%%,*}
        verity_options=${verity_options#*,}
        verity_map || return
    done
}

# Adds the command's argument for verity_option, which is as in veritytab(5). One that is not known fails: it could be about
# protection.
verity_map() {
    verity_value=${verity_option#*=}
    if [ -z "$verity_value" ] && [ -n "$verity_option" ]; then
        verity_wrong="systemd.verity_root_options= has $verity_option without a value"
        return 1
    fi
    case $verity_option in
    # What mounts, orders and asks is not here.
    '' | nofail | x-initrd.attach | _netdev | auto | noauto | tries | tries=*) ;;
    superblock=[1yt] | superblock=yes | superblock=true | superblock=on) ;;
    superblock=[0nf] | superblock=no | superblock=false | superblock=off)
        verity_arguments="$verity_arguments --no-superblock"
        ;;
    format=* | data-block-size=* | hash-block-size=* | data-blocks=* | hash-offset=* | salt=* | uuid=* | hash=* | \
        fec-offset=* | fec-roots=*)
        verity_arguments="$verity_arguments --$verity_option"
        ;;
    fec-device=*)
        if ! verity_device "$verity_value"; then
            verity_wrong="systemd.verity_root_options= has $verity_option, which names no device"
            return 1
        fi
        verity_fec=$verity_path
        verity_arguments="$verity_arguments --fec-device=$verity_path"
        ;;
    root-hash-signature=/*)
        if ! [ -f "$verity_value" ]; then
            verity_wrong="the initramfs does not have $verity_value, which root-hash-signature= names"
            return 1
        fi
        verity_arguments="$verity_arguments --$verity_option"
        ;;
    ignore-corruption | restart-on-corruption | panic-on-corruption | ignore-zero-blocks | check-at-most-once | \
        error-as-corruption | use-tasklets)
        verity_arguments="$verity_arguments --$verity_option"
        ;;
    *)
        verity_wrong="systemd.verity_root_options= has the unknown option $verity_option"
        verity_hints="the options are those of veritytab(5); what is not known is not ignored, because it could be about protection
"
        return 1
        ;;
    esac
}

verity_missing() {
    verity_said=
    verity_hints=
    for verity_path in "$verity_data" "$verity_hash" $verity_fec; do
        if [ -e "$verity_path" ]; then
            continue
        fi
        verity_there=
        for verity_block in /sys/class/block/*; do
            verity_there="$verity_there ${verity_block##*/}"
        done
        verity_reason="$verity_path does not exist"
        verity_hints="block devices that are there:${verity_there% \*}
"
        if [ "$verity_path" = "$verity_data" ] && [ -z "$verity_data_name" ]; then
            verity_hints="${verity_hints}without systemd.verity_root_data= it is the partition with the root hash's first half as UUID
"
        elif [ "$verity_path" = "$verity_hash" ] && [ -z "$verity_hash_name" ]; then
            verity_hints="${verity_hints}without systemd.verity_root_hash= it is the partition with the root hash's last half as UUID
"
        fi
        return 0
    done
    return 1
}

# Whether /dev/mapper/root is what it is to be already: somebody in the emergency shell may have opened it.
verity_is_open() {
    verity_state=$($verity_command status root 2>/dev/null) || return 1
    case $verity_state in
    *"
  root hash:   $verity_root_hash"*) return 0 ;;
    esac
    return 1
}

# Whether the first blocks of /dev/mapper/root can be read: as far as file systems keep what they read first.
verity_read() {
    verity_state=$($verity_command status root 2>/dev/null)
    verity_rest=${verity_state#*"
  size: "}
    while :; do
        case $verity_rest in
        ' '*) verity_rest=${verity_rest#?} ;;
        *) break ;;
        esac
    done
    verity_rest=${verity_rest%% *}
    case $verity_rest in
    '' | *[!0-9]*) return 1 ;;
    esac
    verity_count=$(((verity_rest + 7) / 8))
    if [ "$verity_count" -gt 32 ]; then
        verity_count=32
    fi
    # klibc's dd succeeds when it cannot read, so the count is what tells. The last block of a small device may be cut off.
    verity_rest=$(dd if=/dev/mapper/root of=/dev/null bs=4096 count="$verity_count" 2>&1) || return 1
    case $verity_rest in
    "$verity_count+0 records in"* | "$((verity_count - 1))+1 records in"*) return 0 ;;
    esac
    return 1
}

verity_open() {
    verity_hints=
    verity_said=
    modprobe -a -q dm-mod dm-verity 2>/dev/null
    if verity_is_open; then
        return 0
    fi
    # shellcheck disable=SC2086 # several arguments; words that were split once hold no blanks
    if ! verity_said=$($verity_command open "$verity_data" root "$verity_hash" "$verity_root_hash" $verity_arguments 2>&1)
    then
        verity_reason="veritysetup open failed"
        verity_hints="data device: $verity_data, hash device: $verity_hash
"
        return 1
    fi
    # A wrong root hash shows at the first read.
    if verity_read; then
        return 0
    fi
    verity_state=$($verity_command status root 2>/dev/null)
    case $verity_state in
    *"status:      corrupted"*)
        verity_reason="its first blocks do not have the root hash $verity_root_hash"
        verity_hints="the root hash on the command line is wrong, or the data or the hash device was changed
"
        ;;
    *) verity_reason="its first blocks cannot be read" ;;
    esac
    verity_hints="${verity_hints}data device: $verity_data, hash device: $verity_hash
"
    if ! verity_closed=$($verity_command close root 2>&1); then
        verity_said="$verity_said${verity_said:+
}$verity_closed"
    fi
    return 1
}

# Prints why there is no root device.
verity_report() {
    printf '%s\n' "dmverity: cannot open the root device: $verity_reason" ${verity_said:+"$verity_said"}
    while [ -n "$verity_hints" ]; do
        printf 'hint: %s\n' "${verity_hints%%
*}"
        # In quotes for klibc's shell, which does not see the end otherwise.
        verity_hints="${verity_hints#*
}"
    done
}

# Sets verity_now to the seconds since the start of the machine.
verity_clock() {
    read -r verity_now verity_rest </proc/uptime
    verity_now=${verity_now%%.*}
}
