# Signatures by our command and in every form, on a kernel whose keyring for dm-verity accepts certificates at run time.
# kernels: 7
# signatures: forms
# files: tests/vectors/chain/sig-forms.tsv

. /vm/signed.sh

# Reloads dm-verity with these parameters, which makes a new keyring too.
reload() {
    rmmod dm_verity
    modprobe dm-verity "$@"
}
trap 'vs close v0 || dmsetup remove v0 || :; reload' EXIT
make_signed_image
wrong=-EKEYREJECTED

# An authority's certificate alone: the signer's has to be in the signature.
reload keyring_unsealed=1
keyctl padd asymmetric "" %keyring:.dm-verity <$forms/issuer.der
keyctl restrict_keyring %keyring:.dm-verity
trusted=issuer
answers OK $forms/cert
answers -ENOKEY $forms/plain

reload keyring_unsealed=1
for certificate in rsa p256; do
    keyctl padd asymmetric "" %keyring:.dm-verity <$forms/$certificate.der
done
keyctl restrict_keyring %keyring:.dm-verity
trusted="rsa p256"
signed_by_us
by_us OK p256
every_form

# SHA-3 is a module, which the kernel loads when a signature needs it, if it finds it.
module=$(find /lib/modules -path '*/crypto/sha3.ko')
[ ! -d /sys/module/sha3 ] || modprobe -r sha3
mv "$module" away
kernel_says $forms/sha3
mv away "$module"
expect_text "the kernel's answer to sha3 without its module" -ENOPKG "$answer"
kernel_says $forms/sha3
expect_text "the kernel's answer to sha3" OK "$answer"
[ -d /sys/module/sha3 ]
lint_says $forms/sha3
expect_text "lint's answer to sha3" depends "$answer"
nothing_left
