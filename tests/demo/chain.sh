#!/bin/sh
# The chain of trust from end to end, on files made here: a disk image is built, signed with a key that never leaves a
# (software) security module, verified on this machine, and opened by a real kernel that trusts this signer
# alone. Both refuse what was tampered with.
#   tests/demo/chain.sh VERITYSETUP
set -eu

cd "$(dirname "$0")/../.."
veritysetup=$(realpath "$1")
module=/usr/lib/softhsm/libsofthsm2.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

. tests/demo/lib.sh

echo "=== A security module with a key: SoftHSM, which keeps it in files of its own"
cp tests/demo/chain-guest.sh "$work"
mkdir "$work/files" "$work/tokens"
cp -L /usr/include/linux/[a-f]*.h LICENSE-MIT "$work/files"
cd "$work"
echo "directories.tokendir = $work/tokens" >softhsm2.conf
export SOFTHSM2_CONF="$work/softhsm2.conf"
softhsm2-util --init-token --free --label demo --so-pin 4321 --pin 1234 >/dev/null
# The same for a command to the module, without the options that all of them have.
token() {
    echo
    echo "\$ pkcs11-tool $*"
    # It also says which slot it has found.
    pkcs11-tool --module "$module" --token-label demo --login --pin 1234 "$@" 2>said || {
        cat said >&2
        exit 1
    }
}
token --keypairgen --key-type rsa:2048 --id 01 --label signer

echo
echo "=== A certificate for that key, from an authority; of the key only its public half is seen here"
token --read-object --type pubkey --id 01 --output-file public.der
openssl pkey -pubin -inform DER -in public.der -out public.pem
openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=Demo authority" -keyout authority.key -out authority.pem 2>/dev/null
show openssl x509 -new -force_pubkey public.pem -subj "/CN=Demo signer" -CA authority.pem -CAkey authority.key \
    -out signer.pem
openssl x509 -in signer.pem -outform DER -out signer.der

echo
echo "=== An image of real files, built as a disk image with a place for the signature"
mksquashfs files root.squashfs -quiet -no-progress -all-root >/dev/null
show veritysetup build --output=image.raw --root=root.squashfs --defer-signature --root-hash-file=root-hash

echo
echo "=== What the module has to sign; the answer goes into the image if it is right"
show veritysetup sign --prepare image.raw
token --sign --mechanism SHA256-RSA-PKCS --id 01 --input-file root-hash --output-file raw-signature
show veritysetup sign --join=raw-signature --certificate=signer.pem image.raw

echo
echo "=== Verify it, trusting nothing but the signer's certificate"
show veritysetup verify -v image.raw --trusted=signer.pem
show veritysetup inspect image.raw --policy=root=signed

echo
echo "=== Flip one byte of a copy: the signature is right, the data are not"
cp image.raw tampered.raw
# The fifth block of the data.
start=$("$veritysetup" inspect image.raw | sed -n 's/^Partition 1:.* at byte \([0-9]*\) .*/\1/p')
flip tampered.raw $((start + 4 * 4096 + 100))
refused veritysetup verify tampered.raw --trusted=signer.pem

echo
echo "=== An attacker changes a file and makes the whole image again, with another signature"
echo "and one more line" >>files/LICENSE-MIT
mksquashfs files forged.squashfs -quiet -no-progress -all-root >/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=Demo signer" -keyout forger.key -out forger.pem 2>/dev/null
show veritysetup build --output=forged.raw --root=forged.squashfs --key=forger.key --certificate=forger.pem
refused veritysetup verify forged.raw --trusted=signer.pem

echo
echo "=== The same on a real kernel (Linux 7, in a virtual machine)"
cd - >/dev/null
set --
for file in image.raw tampered.raw forged.raw root-hash signer.pem signer.der; do
    set -- "$@" --file "$work/$file:/root/$file"
done
cargo run --quiet --locked -p dmverity-tests --bin vm -- run --kernel 7 --script "$work/chain-guest.sh" "$@"

echo
echo "=== Done: what the signer signed was verified, opened and read; what others changed was refused everywhere."
