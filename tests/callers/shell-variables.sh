# ours alone: `--env` instead of all the parsing in the other callers.
set -eu
eval "$(veritysetup format --env rootfs.img "hash's image" --salt=aa --fec-device='fec image' --fec-roots=4)"
[ "$VERITY_DATA_BLOCKS" -eq 200 ] && [ "$VERITY_SALT" = aa ] && [ "$VERITY_FEC_ROOTS" -eq 4 ]
root=$VERITY_ROOT_HASH
veritysetup dump --env "$VERITY_HASH_DEVICE" >dump.env
. ./dump.env
[ "$((VERITY_DATA_BLOCKS * VERITY_DATA_BLOCK_SIZE))" -eq "$(stat -c %s rootfs.img)" ]
[ -z "$VERITY_FEC_ROOTS" ]
veritysetup verify rootfs.img "$VERITY_HASH_DEVICE" "$root"
if veritysetup status --env ../nosuch >status.env; then exit 1; fi
. ./status.env
[ "$VERITY_ACTIVE" -eq 0 ] && [ -z "$VERITY_ROOT_HASH" ]
echo done
