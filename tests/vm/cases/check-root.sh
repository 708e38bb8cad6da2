# `open --check-root` reads both ends of the new mapping, and leaves nothing if they do not match the root hash;
# without it the open succeeds. Blocks that must be zeros are named.
# long: between
# kernels: 6.1
# boots: bare

make_image d 300
dd if=/dev/zero of=d bs=4096 seek=299 count=1 conv=notrunc 2>/dev/null
vs format d h --salt=aa >made
root=$(root_hash made)
corrupted="Verity device detected corruption after activation.
hint: its first or its last data block does not match the root hash: the root hash is wrong, or data or hash tree were changed."

vs open --check-root d v0 h "$root"
same d /dev/mapper/v0
vs close v0

# refused ARGUMENT...: the open fails and leaves nothing behind.
refused() {
    run vs open --check-root d v0 h "$@"
    expect_code 2
    expect_out ""
    not vs status v0
    nothing_left
    refused_as_json
}

refused 0000000000000000000000000000000000000000000000000000000000000000
expect_object "$(echo "$corrupted" | head -n 1)"
# The first block, the last, and the tree above the last; the blocks between them are not read.
for at in 5 $((299 * 4096 + 7)); do
    damage d "$at" 1
    refused "$root"
    damage d "$at" 1
done
damage h $((4 * 4096 + 43 * 32)) 1
run vs open --check-root d v0 h "$root"
expect_code 2
expect_err "$corrupted"
damage h $((4 * 4096 + 43 * 32)) 1
damage d $((150 * 4096)) 1
vs open --check-root d v0 h "$root"
vs close v0
damage d $((150 * 4096)) 1

# A block that is only logged is returned by the kernel, but it does not match the root hash.
damage d 5 1
refused "$root" --ignore-corruption
damage d 5 1

# Stale bytes where the image has a hole.
damage d $((299 * 4096 + 7)) 1
run vs open --check-root d v0 h "$root"
expect_code 2
expect_err "$corrupted
hint: data block 299 must be zeros: the image was written without its holes.
hint: \`veritysetup repair\` writes them, even without a FEC device."
vs repair d h "$root"
vs open --check-root d v0 h "$root"
vs close v0
