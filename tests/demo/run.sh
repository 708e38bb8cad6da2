#!/bin/sh
# The main job from end to end, on files made here: an image of real files is formatted and verified on this machine,
# then opened, mounted and read on a real kernel in a virtual machine; and a tampered copy is refused by both.
#   tests/demo/run.sh VERITYSETUP
set -eu

cd "$(dirname "$0")/../.."
veritysetup=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

. tests/demo/lib.sh

echo "=== An image of real files: the headers in /usr/include/linux, and the licence"
mkdir "$work/files"
cp -rL /usr/include/linux LICENSE-MIT "$work/files"
cp tests/demo/guest.sh "$work"
cd "$work"
(cd files && find . -type f -exec sha256sum {} + >../sums)
mksquashfs files data.img -quiet -no-progress -all-root >/dev/null
show ls -l data.img

echo
echo "=== Format it: the hash tree and the parity go into files of their own"
show veritysetup format data.img hash.img --fec-device=fec.img --root-hash-file=root-hash

echo
echo "=== Verify it, and look at the superblock"
show veritysetup verify -v data.img hash.img --root-hash-file=root-hash
show veritysetup dump hash.img

echo
echo "=== Flip one byte of a copy: it does not verify"
cp data.img tampered.img
flip tampered.img 20000
refused veritysetup verify tampered.img hash.img --root-hash-file=root-hash

echo
echo "=== With the parity another copy is put right again"
cp tampered.img repaired.img
show veritysetup repair repaired.img hash.img --fec-device=fec.img --root-hash-file=root-hash
show cmp repaired.img data.img

echo
echo "=== The same on a real kernel (Linux 6.1, in a virtual machine)"
cd - >/dev/null
cargo run --quiet --locked -p dmverity-tests --bin vm -- run --kernel 6.1 --script "$work/guest.sh" \
    --file "$work/data.img:/root/data.img" --file "$work/hash.img:/root/hash.img" \
    --file "$work/sums:/root/sums" --file "$work/root-hash:/root/root-hash" --file "$work/tampered.img:/root/tampered.img" \
    --file "$work/fec.img:/root/fec.img"

echo
echo "=== Done: the image was verified, mounted and read; the tampered copies were refused, or corrected."
