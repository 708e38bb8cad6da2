# Disk images that our command makes, on Debian's library: signed by whom the kernel trusts, and by whom only systemd
# does, once it has the certificate.
signers=/signatures/forms
for signer in trusted unknown; do
    vs build --output=$tree/tmp/$signer.raw --root=/images/squashfs.img --key=$signers/$signer.key \
        --certificate=$signers/$signer.pem
done
vs build --output=$tree/tmp/usr.raw --usr=/images/squashfs.img --key=$signers/trusted.key \
    --certificate=$signers/trusted.pem --sector-size=4096
library=

# Waits for the mapping to go: systemd leaves its removal to the kernel, and udev may hold it a little longer.
until_unmapped() {
    debian udevadm settle
    for wait in $(seq 100); do
        [ "$(cd /sys/block && echo dm-*)" != 'dm-*' ] || return 0
        sleep 0.1
    done
    fail "there are still mappings: $(dmsetup info -c --noheadings -o name,open)"
}

# mounts IMAGE STATUS: systemd mounts the image as one that has to be signed, and our command shows this status.
mounts() {
    policy=root=signed
    [ "$1" != usr ] || policy=usr=signed
    debian systemd-dissect --image-policy=$policy --mount "/tmp/$1.raw" /mnt/one
    vs status "$(dmsetup info -c --noheadings -o name)" >found
    grep -x "  status:      $2" found
    [ "$(find $tree/mnt/one -name hello)" ] || fail "the files are not there"
    debian systemd-dissect --umount /mnt/one
    until_unmapped
}

mounts trusted "verified (with signature)"
# Release 257 of systemd looks for the signature of a root file system only, and mounts that for /usr without verity.
[ "$kernel" = 6.12 ] || mounts usr "verified (with signature)"
# Release 257 takes the kernel's refusal for a missing pass phrase, and may wait for one without end.
[ "$kernel" = 6.12 ] || not debian systemd-dissect --image-policy=root=signed --mount /tmp/unknown.raw /mnt/one
mkdir -p $tree/etc/verity.d
cp $signers/unknown.pem $tree/etc/verity.d/unknown.crt
mounts unknown verified
# Where there is a keyring for dm-verity, its certificate makes the kernel check that signature too.
if [ "$kernel" = 7 ]; then
    rm $tree/etc/verity.d/unknown.crt
    # modprobe would remove what others use too, and fail.
    rmmod dm_verity
    modprobe dm-verity keyring_unsealed=1
    keyctl padd asymmetric "" %keyring:.dm-verity <$signers/unknown.der
    keyctl restrict_keyring %keyring:.dm-verity
    mounts unknown "verified (with signature)"
fi
