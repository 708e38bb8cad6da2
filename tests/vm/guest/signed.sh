# What the cases `signed-*` do: they show which signatures the kernel takes, of those that our command makes and of
# every form that was tried for tests/vectors/chain, and that `signature lint` says so beforehand.

forms=/signatures/forms

# The column of sig-forms.tsv, and what lint calls the kernel.
case $kernel in
6.1) column=2 reader="Linux without ECDSA (as Debian's 6.1)" ;;
6.12) column=3 reader="Linux with ECDSA (as Debian's 6.12)" ;;
7) column=4 reader="Linux 7 (as Debian's 7.2)" ;;
*) fail "nothing was tried on kernel $kernel" ;;
esac

# Sets $answer to what the kernel answers to the image with this signature: OK, or the error, such as -ENOKEY. An image
# that opens is closed again.
kernel_says() {
    run vs open d v0 h "$root" --root-hash-signature="$1" --json
    if [ "$code" = 0 ]; then
        answer=OK
        vs status v0 | grep -x "  status:      verified (with signature)"
        vs close v0
    else
        expect_code 1
        answer=-$(echo "$out" | sed -n 's/^    "errno_name": "\([A-Z]*\)".*/\1/p')
    fi
}

# Sets $answer to what lint says that this kernel answers, if it trusts the certificates in $trusted. `depends` may
# follow.
lint_says() {
    options=
    for certificate in $trusted; do
        options="$options --trusted=$forms/$certificate.pem"
    done
    run vs signature lint "$1" "$root" $options
    answer=$(printf '%s\n' "$out" | grep -F "$reader: " | sed -e 's/.*): //' -e 's/^taken$/OK/' -e 's/^refused with /-/')
}

# answers EXPECTED FILE: fails unless the kernel's answer to the signature and lint's are this one.
answers() {
    kernel_says "$2"
    expect_text "the kernel's answer to ${2##*/}" "$1" "$answer"
    lint_says "$2"
    expect_text "lint's answer to ${2##*/}" "$1" "$answer"
}

# by_us EXPECTED KEY: the answer to all signatures by this key.
by_us() {
    for way in plain smime embedded sha384 sha512 joined; do
        answers "$1" "$2.$way"
    done
    nothing_left
}

# What our command makes of the keys, in all ways, and of signatures that were made elsewhere.
signed_by_us() {
    for key in rsa p256; do
        made="--certificate=$forms/$key.pem"
        vs sign "$root" --key=$forms/$key.key $made -o $key.plain
        vs sign "$root" --key=$forms/$key.key $made -o $key.smime --smime
        vs sign "$root" --key=$forms/$key.key $made -o $key.embedded --embed-certificate
        vs sign "$root" --key=$forms/$key.key $made -o $key.sha384 --digest=sha384
        vs sign "$root" --key=$forms/$key.key $made -o $key.sha512 --digest=sha512
        vs sign "$root" --join=$forms/raw.$key $made -o $key.joined
    done
    by_us OK rsa
    # The image is read, and the kernel has the signature from its key.
    vs open d v0 h "$root" --root-hash-signature=rsa.plain
    same d /dev/mapper/v0
    dmsetup table v0 | grep ' 2 root_hash_sig_key_desc cryptsetup:3bc1c38a-4d33-404f-b0e2-9644e20ffa71-v0$'
    vs close v0
    # What OpenSSL makes of the same key has the same bytes.
    same rsa.plain $forms/plain
    same rsa.joined $forms/plain
    same rsa.embedded $forms/cert
    same rsa.sha512 $forms/cms-sha512
}

# Every form of signature, by the same key.
every_form() {
    tried=0
    while IFS="$(printf '\t')" read -r form expected; do
        answers "$expected" "$forms/$form"
        tried=$((tried + 1))
    done <<END
$(cut -f "1,$column" /files/sig-forms.tsv | sed -e 1d -e '/^sha3\t/d')
cms-attr-nosmimecap	OK
cms-cades	OK
cms-keyid	OK
cms-sha1	OK
cms-sha224	OK
cms-sha384	OK
cms-sha512	OK
smime-noattr-chain	OK
newline	$wrong
upper	$wrong
END
    nothing_left
    [ "$tried" = 31 ] || fail "$tried forms were tried"
}

# Adds a certificate to the secondary keyring.
add() {
    keyctl padd asymmetric "" %keyring:.secondary_trusted_keys <"$forms/$1.der"
    trusted="$trusted $1"
}

# All of it with a certificate that is built in: one that it has signed enters the secondary keyring, or comes with the
# signature.
with_built_in() {
    make_signed_image

    # Without the signer's certificate in a keyring, all up to the built-in one have to be in the signature.
    trusted=trusted
    answers -ENOKEY $forms/plain
    answers -ENOKEY $forms/cert
    answers OK $forms/smime-noattr-chain

    # The keyring takes no certificate whose issuer it does not know.
    not keyctl padd asymmetric "" %keyring:.secondary_trusted_keys <$forms/rsa.der
    add issuer
    # A way to the certificate in the signature is enough.
    answers OK $forms/cert
    answers -ENOKEY $forms/plain
    add rsa
    signed_by_us
    every_form
}
