# A layer of an image builder: it appends the tree to the file system, and stores the output of format as variables for
# a later step: keys in capitals, values without units and surrounding blanks.
set -eu
size=$(stat -c %s rootfs.img)
veritysetup format --no-superblock --salt=8a7b --data-block-size=4096 --hash-block-size=4096 \
    --data-blocks=$((size / 4096)) --hash-offset="$size" rootfs.img rootfs.img >verity.log
sed -n -e '/:/!d' -e 's/ *\[bytes\]$//' -e '/^VERITY header/d' -e 's/:[[:space:]]*/=/p' verity.log |
    while IFS== read -r key value; do
        printf '%s="%s"\n' "$(printf %s "$key" | tr 'a-z ' 'A-Z_')" "$value"
    done >verity.env
. ./verity.env
echo "$ROOT_HASH $SALT $DATA_BLOCKS $DATA_BLOCK_SIZE $HASH_BLOCK_SIZE $HASH_ALGORITHM $HASH_TYPE"
[ "$DATA_BLOCKS" -eq $((size / 4096)) ]
echo "$(stat -c %s rootfs.img) $(sha256sum <rootfs.img)"
veritysetup verify --no-superblock --salt="$SALT" --data-blocks="$DATA_BLOCKS" --hash-offset="$size" \
    rootfs.img rootfs.img "$ROOT_HASH"
