# ours alone: `table` prints the line that kernel-line.sh assembles by hand.
set -eu
eval "$(veritysetup format --env --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 --salt=00ff rootfs.img hash.img)"
line="rootfs,,,ro,0 $((VERITY_DATA_BLOCKS * VERITY_DATA_BLOCK_SIZE / 512)) verity $VERITY_HASH_TYPE /dev/vda1 /dev/vda2"
line="$line $VERITY_DATA_BLOCK_SIZE $VERITY_HASH_BLOCK_SIZE $VERITY_DATA_BLOCKS"
line="$line $((VERITY_HASH_OFFSET / VERITY_HASH_BLOCK_SIZE + 1)) $VERITY_HASH_ALGORITHM $VERITY_ROOT_HASH $VERITY_SALT"
printed=$(veritysetup table rootfs.img hash.img "$VERITY_ROOT_HASH" --dm-mod-create=rootfs \
    --boot-data-device=/dev/vda1 --boot-hash-device=/dev/vda2)
[ "$printed" = "dm-mod.create=\"$line\"" ]
echo "$printed"
