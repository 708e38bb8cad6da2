# A root hash signature is passed through the thread keyring only. A file that is not a signature, and a signature
# that the kernel does not trust, are refused.
# arm64: 6.12-arm64

make_image d 64
vs format d h --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 >made
root=$(root_hash made)

# A signature larger than a key can hold.
head -c 40000 /dev/zero >large
run vs open d v0 h "$root" --root-hash-signature=large
expect_code 1
expect_out ""
expect_text "the first line" "Failed to load key in kernel keyring." "$(echo "$err" | head -n 1)"
refused_as_json

echo garbage >garbage
run vs open d v0 h "$root" --root-hash-signature=garbage
expect_code 1
expect_text "the first line" "Root hash signature is malformed." "$(echo "$err" | head -n 1)"
echo "$err" | grep '^hint: the table was: .* root_hash_sig_key_desc cryptsetup:3bc1c38a-4d33-404f-b0e2-9644e20ffa71-v0$'
refused_as_json
nothing_left
