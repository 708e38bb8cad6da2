# File systems made on the host can be mounted through a verity device, and read with the kernel's read-ahead.
# images: ext4 squashfs

for kind in ext4 squashfs; do
    : >hash
    truncate -s 1M hash
    data=$(attach "/images/$kind.img" -r)
    hash=$(attach hash)
    root=$(ref format "$data" "$hash" | root_hash)
    ref open "$data" reference "$hash" "$root"
    mkdir "$kind"
    mount -t "$kind" -o ro /dev/mapper/reference "$kind"
    [ "$(cat "$kind/hello")" = hello ]
    [ "$(wc -c <"$kind/folder/noise")" = 1048576 ]
    umount "$kind"
    ref close reference
    losetup -d "$data"
    losetup -d "$hash"
done
