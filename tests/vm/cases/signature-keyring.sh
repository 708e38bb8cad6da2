# A kernel with a keyring only for dm-verity: the keyring accepts a certificate at run time, the kernel trusts it once
# the keyring is closed, and a root hash signed with it then opens the image.
# kernels: 7
# arm64: 7-arm64
# signatures: good untrusted wrong-root-hash

# Reloads dm-verity with these parameters, which makes a new keyring too.
reload() {
    modprobe -r dm-verity
    modprobe dm-verity "$@"
}
trap 'vs close v0 || dmsetup remove v0 || :; reload' EXIT

# refused WORDS FILE: the kernel refuses the image with this signature, and the first line of the message is WORDS.
refused() {
    run vs open d v0 h "$root" --root-hash-signature="$2"
    expect_code 1
    expect_out ""
    expect_text "the first line" "$1" "$(echo "$err" | head -n 1)"
    nothing_left
}

make_signed_image
reload keyring_unsealed=1
keyctl padd asymmetric "" %keyring:.dm-verity </signatures/certificate
# The kernel ignores the keyring as long as certificates can still be added to it.
refused "Root hash signature is not trusted by the kernel." /signatures/good
keyctl restrict_keyring %keyring:.dm-verity

run vs open d v0 h "$root" --root-hash-signature=/signatures/good
expect_code 0
expect_out ""
expect_err ""
same d /dev/mapper/v0
vs status v0 | grep -x "  status:      verified (with signature)"
vs close v0
nothing_left
refused "Root hash signature is not trusted by the kernel." /signatures/untrusted
refused "Root hash signature does not match the root hash." /signatures/wrong-root-hash
