# Passes between failures, which must not affect it.
# reports: ok

make_image a 4
make_image b 4
same a b
[ "$(wc -c <a)" = 16384 ]
for block in 0 1 2 3; do
    dd if=a bs=4096 skip="$block" count=1 | sha256sum
done | sort -u >sums
[ "$(wc -l <sums)" = 4 ]
run sh -c 'echo out; echo err >&2; exit 3'
expect_code 3
expect_out out
expect_err err
