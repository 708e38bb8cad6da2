# A script after an image build: the root hash from its file, the rest from dump, by sed, grep and cut.
set -eu
veritysetup format rootfs.img rootfs.verity --salt=aa --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 \
    --root-hash-file=rootfs.roothash >rootfs.verity-info 2>&1
hash=$(cat rootfs.roothash)
[ "$hash" = "$(sed -n 's/^Root hash:[[:space:]]*//p' rootfs.verity-info)" ]
# A root hash file has no newline.
[ "$(wc -c <rootfs.roothash)" -eq 64 ]
uuid=$(veritysetup dump rootfs.verity | grep '^UUID:' | cut -d: -f2 | tr -d '[:space:]')
salt=$(veritysetup dump rootfs.verity | sed -n 's/^Salt:[[:space:]]*\([0-9a-f]*\)$/\1/p')
blocks=$(veritysetup dump rootfs.verity | grep -i 'data blocks' | tr -s ' \t' ' ' | cut -d' ' -f3)
echo "roothash=$hash $uuid $salt $blocks"
veritysetup verify rootfs.img rootfs.verity --root-hash-file rootfs.roothash && echo verified
veritysetup verify rootfs.img rootfs.verity "$(cat rootfs.roothash)" && echo verified
