# Signatures by our command and in every form, on a kernel that can only be built with a certificate to trust.
# kernels: 6.12
# certificate: built-in
# signatures: forms
# files: tests/vectors/chain/sig-forms.tsv

. /vm/signed.sh
# The last keyring that the kernel searches, the platform's, determines the error.
wrong=-ENOKEY
with_built_in

# SHA-3 is a part of this kernel.
kernel_says $forms/sha3
expect_text "the kernel's answer to sha3" OK "$answer"
lint_says $forms/sha3
expect_text "lint's answer to sha3" depends "$answer"

add p256
by_us OK p256
