# The same as `signed-built-in` on a kernel that has neither ECDSA nor a platform keyring.
# kernels: 6.1
# certificate: built-in
# signatures: forms
# long: everywhere
# files: tests/vectors/chain/sig-forms.tsv

. /vm/signed.sh
wrong=-EKEYREJECTED
with_built_in
answers -ENOPKG $forms/sha3

# A certificate for P-256 that RSA has signed gets into the keyring; it is of no use there.
add p256
for way in plain smime embedded sha384 sha512 joined; do
    kernel_says "p256.$way"
    [ "$answer" != OK ] || fail "the kernel takes ECDSA"
    lint_says "p256.$way"
    expect_text "lint's answer to p256.$way" refused "$answer"
done
nothing_left
