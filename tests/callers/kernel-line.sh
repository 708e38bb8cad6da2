# A firmware build: awk takes fields by number, and a kernel line is assembled from them.
set -eu
out=$(veritysetup format --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 --salt=00ff rootfs.img hash.img)
root=$(echo "$out" | awk '/^Root hash:/ { print $3 }')
salt=$(echo "$out" | awk '/^Salt:/ { print $2 }')
blocks=$(echo "$out" | awk '/^Data blocks:/ { print $3 }')
size=$(echo "$out" | awk '/^Data block size:/ { print $4 }')
name=$(echo "$out" | awk -F: '/Hash algorithm/ { gsub(/[ \t]/, "", $2); print $2 }')
type=$(echo "$out" | awk '{ if ($1 " " $2 == "Hash type:") print $NF }')
[ ${#root} -eq 64 ]
line="rootfs,,,ro,0 $((blocks * size / 512)) verity $type /dev/vda1 /dev/vda2 $size $size $blocks 1 $name $root $salt"
echo "dm-mod.create=\"$line\""
