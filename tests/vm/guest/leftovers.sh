# Finds and removes what a case left behind, so that the next case starts in the same state as the first.

# Remembers what is mounted before any case has run.
baseline() {
    cut -d ' ' -f 2 /proc/mounts >/run/vm/mounts
}

# Prints a line for each thing that is left. Cases call it often, so it reads with the shell's builtins, and starts no
# process if nothing is left.
leftovers() {
    mounted="|"
    while read -r folder; do
        mounted="$mounted$folder|"
    done </run/vm/mounts
    while read -r _ folder _; do
        case $mounted in
        *"|$folder|"*) ;;
        *) echo "mounted: $folder" ;;
        esac
    done </proc/mounts
    for device in /sys/block/dm-*; do
        [ ! -e "$device" ] || echo "device-mapper device: $(cat "$device/dm/name") (${device##*/})"
    done
    for node in /dev/mapper/*; do
        [ "$node" = /dev/mapper/control ] || [ ! -e "$node" -a ! -L "$node" ] || echo "device node: $node"
    done
    for file in /sys/block/loop*/loop/backing_file; do
        [ ! -e "$file" ] || echo "loop device: $(echo "$file" | cut -d / -f 4) on $(cat "$file")"
    done
    while read -r key id _; do
        [ "$key" = key ] || echo "SysV semaphore: id $id, key $key"
    done </proc/sysvipc/sem
    left_keys | while read -r id description; do
        echo "key: $description (id $id)"
    done
}

# Prints number and description of each key with the name of a signature's. The kernel takes a moment to forget a key
# that no keyring holds any more.
left_keys() {
    while read -r id _ _ _ _ _ _ _ description _; do
        case $description in
        cryptsetup:*) echo "$id ${description%:}" ;;
        esac
    done </proc/keys
}

# The same after waiting up to five seconds for nothing to be left: the kernel and udev finish some work after a program
# has ended.
left_behind() {
    left=$(leftovers)
    tries=50
    while [ -n "$left" ] && [ "$tries" -gt 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
        left=$(leftovers)
    done
    [ -z "$left" ] || echo "$left"
}

# Removes everything that leftovers() prints, twice: a device may be below another one.
clean() {
    for round in 1 2; do
        cut -d ' ' -f 2 /proc/mounts | grep -vxFf /run/vm/mounts | sort -r | while read -r folder; do
            umount -l "$folder"
        done
        # Suspended devices would block any process that touches them.
        for device in /sys/block/dm-*; do
            [ ! -e "$device" ] || timeout 10 dmsetup resume --noudevsync "$(cat "$device/dm/name")"
        done
        timeout 30 dmsetup remove_all --force --noudevsync
        for file in /sys/block/loop*/loop/backing_file; do
            [ ! -e "$file" ] || losetup -d "/dev/$(echo "$file" | cut -d / -f 4)"
        done
    done
    [ "$nodes" != udev ] || udevadm settle --timeout=30
    for node in /dev/mapper/*; do
        [ "$node" = /dev/mapper/control ] || rm -f "$node"
    done
    sed 1d /proc/sysvipc/sem | while read -r _ id _; do
        ipcrm -s "$id"
    done
    # The keyrings that outlive a case are those of its user; any other has gone with the case's processes.
    left_keys | while read -r id _; do
        keyctl unlink "0x$id" @u || keyctl unlink "0x$id" @us
    done
    for wait in 1 2 3 4 5 6 7 8 9 10; do
        [ -n "$(left_keys)" ] || break
        sleep 0.1
    done
}
