# A kernel with a keyring for dm-verity alone: it takes a certificate at run time, trusts it once the keyring is closed, and
# then a root hash that it has signed opens the image.
# kernels: 7
# signatures: good untrusted wrong-root-hash

# Loads dm-verity anew, with these parameters; its keyring is a new one too.
reload() {
    modprobe -r dm-verity
    modprobe dm-verity "$@"
}
trap 'vs close v0 || dmsetup remove v0 || :; reload' EXIT

# The kernel does not open the image with these options, and nothing is left; loop devices are looked for after the case.
refused() {
    run vs open d v0 h "$root" "$@"
    expect_code 1
    expect_out ""
    run dmsetup info v0
    expect_code 1
    [ ! -e /dev/mapper/v0 ]
    expect_no_key
}

make_signed_image
reload keyring_unsealed=1
keyctl padd asymmetric "" %keyring:.dm-verity </signatures/certificate
# As long as more certificates can be added, the kernel does not look there.
refused --root-hash-signature=/signatures/good
keyctl restrict_keyring %keyring:.dm-verity

run vs open d v0 h "$root" --root-hash-signature=/signatures/good
expect_code 0
expect_out ""
expect_err ""
same d /dev/mapper/v0
vs status v0 | grep -x "  status:      verified (with signature)"
vs close v0
expect_no_key
refused --root-hash-signature=/signatures/untrusted
refused --root-hash-signature=/signatures/wrong-root-hash
