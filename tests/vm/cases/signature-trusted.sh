# Signed root hashes on a kernel that trusts the certificate: a valid signature opens the image, and is the only way
# to open it if the kernel requires a signature. A refused open leaves nothing behind.
# arm64: 6.12-arm64
# certificate: built-in
# long: between
# signatures: good untrusted wrong-root-hash signed-attributes pem pss
# files: tests/vm/expected/features-5.10.txt tests/vm/expected/features-6.1.txt tests/vm/expected/features-6.12.txt
# files: tests/vm/expected/features-7.txt tests/vm/expected/features-6.12-arm64.txt
# files: tests/vm/expected/features-6.12-arm64-16k.txt tests/vm/expected/features-7-arm64.txt

# Reloads dm-verity with these parameters.
reload() {
    modprobe -r dm-verity
    modprobe dm-verity "$@"
}
trap 'vs close v0 || dmsetup remove v0 || :; reload' EXIT

# The image opens with these options, reads back, has this status, and leaves no key when it is closed.
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
    vs close v0
    nothing_left
}

# refused WORDS OPTIONS...: the kernel refuses the image with these options, and the first line of the message is
# WORDS.
refused() {
    words=$1
    shift
    run vs open d v0 h "$root" "$@"
    expect_code 1
    expect_out ""
    expect_text "the first line" "$words" "$(echo "$err" | head -n 1)"
    refused_as_json
    nothing_left
}

# The last keyring that the kernel searches determines the error.
case $kernel in
5.10 | 6.1) wrong="Root hash signature does not match the root hash." ;;
*) wrong="Root hash signature is not trusted by the kernel." ;;
esac
make_signed_image
head -c 100 /signatures/good >garbage
signatures_are_checked() {
    opens "verified (with signature)" --root-hash-signature=/signatures/good
    refused "Root hash signature is not trusted by the kernel." --root-hash-signature=/signatures/untrusted
    refused "$wrong" --root-hash-signature=/signatures/wrong-root-hash
    refused "Root hash signature is malformed." --root-hash-signature=garbage
    refused "Root hash signature is malformed." --root-hash-signature=/signatures/pem
    refused "Root hash signature does not match the root hash." --root-hash-signature=/signatures/signed-attributes
    refused "Kernel lacks an algorithm of the root hash signature." --root-hash-signature=/signatures/pss
}
signatures_are_checked
opens verified
vs features | grep -x '  signature required: *no'

reload require_signatures=1
signatures_are_checked
refused "Kernel requires a root hash signature, but none was given."
refused "Kernel requires a root hash signature, but none was given." --check-at-most-once --ignore-zero-blocks
# The command still tells refused options from a refused signature.
case $kernel in
5.10)
    run vs open d v0 h "$root" --use-tasklets --root-hash-signature=/signatures/good
    expect_code 0
    expect_err "WARNING: kernel does not support --use-tasklets; the image was opened without it."
    same d /dev/mapper/v0
    vs close v0
    refused "Kernel refused the dm-verity option panic_on_error (--error-as-corruption)." \
        --panic-on-corruption --error-as-corruption --root-hash-signature=/signatures/good
    ;;
*) opens "verified (with signature)" --use-tasklets --root-hash-signature=/signatures/good ;;
esac
# The keyrings hold this machine's own keys; the case `features` compares them.
sed -e 's/^\(  signature required: *\)no$/\1yes/' -e '/^Keyrings/,/^Options/d' \
    "/files/features-$kernel_name.txt" >expected
vs features | sed '/^Keyrings/,/^Options/d' >found
same expected found
