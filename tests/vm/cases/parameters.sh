# Block sizes, salts and algorithms: the kernel reads what the command formats.
# long: between

make_image d 300
# opens OPTIONS...: formats and opens with these options and reads everything back.
opens() {
    rm -f h
    vs format d h "$@" >made
    root=$(root_hash made)
    vs open d v0 h "$root"
    same d /dev/mapper/v0
    vs close v0
}

for data in 512 1024 2048 4096; do
    for hash in 512 4096; do
        opens --data-block-size=$data --hash-block-size=$hash --salt=aabb
    done
done
opens --hash-block-size=65536 --salt=-
opens --salt="$(printf 'ab%.0s' $(seq 256))"
opens --salt=aa --format=0 --hash=sha1
for hash in sha1 sha224 sha256 sha384 sha512 sha3-224 sha3-256 sha3-384 sha3-512 md5 ripemd160 rmd160 whirlpool wp512 \
    streebog256 streebog512 stribog256; do
    opens --hash=$hash
done

# The table has the kernel's name for the algorithm, whichever name the command was given.
vs format d h --hash=ripemd160 >made
vs open d v0 h "$(root_hash made)"
dmsetup table v0 | grep ' rmd160 '
vs status v0 | grep '^  hash name:   rmd160$'
vs close v0

# Algorithms that only some kernels have.
try() {
    rm -f h
    vs format d h --hash="$1" >made
    run vs open d v0 h "$(root_hash made)"
    if [ "$code" = 0 ]; then
        same d /dev/mapper/v0
        vs close v0
    else
        expect_code 1
        echo "$err" | head -n 1 | grep "^Hash algorithm $1 is not supported by the kernel\.\$"
    fi
}
for hash in blake2b-160 blake2b-256 blake2b-384 blake2b-512 blake2s-128 blake2s-160 blake2s-224 blake2s-256 sm3; do
    try $hash
done
