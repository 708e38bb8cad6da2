# The part of the demo that runs on a real kernel.
set -eu

show() {
    echo
    echo "# $*"
    "$@"
}

# The same for a command that has to fail.
refused() {
    if show "$@"; then
        echo "this was to be refused" >&2
        exit 1
    fi
}

show uname -sr

echo
echo "=== The kernel does not know the signer yet"
refused veritysetup open image.raw demo --trusted=signer.pem --root-hash-signature=auto

echo
echo "=== The certificate goes into the keyring for dm-verity, which is then closed for good"
# Debian closes the empty keyring when the module is loaded, unless this parameter says otherwise.
show modprobe -r dm-verity
show modprobe dm-verity keyring_unsealed=1
show sh -c 'keyctl padd asymmetric "" %keyring:.dm-verity <signer.der'
show keyctl restrict_keyring %keyring:.dm-verity

echo
echo "=== Now the kernel itself checks the signature"
show veritysetup open image.raw demo --trusted=signer.pem --root-hash-signature=auto
show veritysetup status demo
mkdir -p mnt
show mount -t squashfs -o ro /dev/mapper/demo mnt
show head -n 3 mnt/LICENSE-MIT
show umount mnt
show veritysetup close demo

echo
echo "=== The tampered copy opens, because blocks are checked when they are read; the changed block is not returned"
show veritysetup open tampered.raw demo --trusted=signer.pem --root-hash-signature=auto
refused dd if=/dev/mapper/demo of=/dev/null bs=4096 skip=4 count=1
show veritysetup status demo
show veritysetup close demo

echo
echo "=== The image with another signature does not open, even for a user who would take its root hash"
root_hash=$(veritysetup inspect forged.raw | sed -n 's/^Root hash:[[:space:]]*//p')
refused veritysetup open forged.raw demo --root-hash="$root_hash" --root-hash-signature=auto
