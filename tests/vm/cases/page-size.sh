# Data blocks open up to the size of the kernel's pages, 4 or 16 KiB, with FEC and tasklets too. Larger ones are refused
# by name.
# kernels: 6.12-arm64 6.12-arm64-16k 7-arm64
# arm64: 6.12-arm64 6.12-arm64-16k 7-arm64

make_image image 256
for size in 512 4096 8192 16384 32768; do
    cp image d
    rm -f h f
    vs format d h --data-block-size=$size --hash-block-size=$size --fec-device=f --salt=aa >made
    root=$(root_hash made)
    if [ "$size" -gt "$page" ]; then
        run vs open d v0 h "$root"
        expect_code 1
        expect_out ""
        expect_text "what is said" "Kernel refused the data block size of $size bytes.
hint: the kernel's page size is $page bytes; data blocks cannot be larger.
hint: the kernel's answer: EINVAL: verity: Invalid data device block size" "$(echo "$err" | sed '$d')"
        refused_as_json
        nothing_left
        continue
    fi
    vs open d v0 h "$root"
    same image /dev/mapper/v0
    dmsetup table v0 | grep "^0 2048 verity 1 [0-9:]* [0-9:]* $size $size $((1048576 / size)) 1 sha256 $root aa\$"
    [ "$(cat /sys/block/dm-0/queue/logical_block_size)" = "$size" ]
    vs close v0

    # A whole block that is bad, and a byte of another one.
    damage d $((3 * size)) "$size"
    damage d $((17 * size + 5)) 1
    vs open d v0 h "$root" --fec-device=f --use-tasklets
    same image /dev/mapper/v0
    vs close v0
    vs open d v0 h "$root"
    run dd if=/dev/mapper/v0 of=/dev/null bs="$size" skip=17 count=1
    [ "$code" != 0 ] || fail "a bad block was read"
    vs status v0 | grep '^  status:      corrupted$'
    vs close v0
done

# With smaller hash blocks too: the sizes need not be the same.
vs format image h --data-block-size="$page" --hash-block-size=1024 --salt=aa >made
vs open image v0 h "$(root_hash made)"
same image /dev/mapper/v0
vs close v0
