# Signed root hashes on a kernel that trusts the certificate: the right signature opens the image, and it alone does where
# the kernel requires one; nothing is left of one that the kernel refuses.
# certificate: built-in
# signatures: good untrusted wrong-root-hash signed-attributes pem pss

# Loads dm-verity anew, with these parameters.
reload() {
    modprobe -r dm-verity
    modprobe dm-verity "$@"
}
trap 'vs close v0 || dmsetup remove v0 || :; reload' EXIT

# The image opens with these options, reads back, is called this, and leaves no key when it is closed.
opens() {
    status=$1
    shift
    run vs open d v0 h "$root" "$@"
    expect_code 0
    expect_out ""
    expect_err ""
    same d /dev/mapper/v0
    vs status v0 >found
    grep -x "  status:      $status" found
    run vs close v0
    expect_code 0
    expect_no_key
}

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
head -c 100 /signatures/good >garbage

opens "verified (with signature)" --root-hash-signature=/signatures/good
refused --root-hash-signature=/signatures/untrusted
refused --root-hash-signature=/signatures/wrong-root-hash
refused --root-hash-signature=garbage
refused --root-hash-signature=/signatures/signed-attributes
refused --root-hash-signature=/signatures/pem
refused --root-hash-signature=/signatures/pss
opens verified

reload require_signatures=1
opens "verified (with signature)" --root-hash-signature=/signatures/good
refused
refused --root-hash-signature=/signatures/untrusted
refused --root-hash-signature=/signatures/wrong-root-hash
refused --root-hash-signature=garbage
