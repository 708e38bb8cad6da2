# Block devices that are not in the page cache are read with direct I/O, with short and long sectors. The result and
# the bad blocks found are the same with any number of threads. The data ends in the middle of a read.
# long: between

make_image blocks 100
# Slightly more than two reads of the maximum length.
cat blocks blocks blocks blocks blocks blocks blocks blocks blocks blocks blocks >image
truncate -s $((4096 * 1100)) image
vs format image h --salt=aa --uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033 --data-block-size=512 --hash-block-size=512 >made
root=$(root_hash made)

# cached DEVICE: prints how many KiB of a device are in the page cache; this is never zero.
cached() {
    blockdev --flushbufs "$1"
    sync
    echo 3 >/proc/sys/vm/drop_caches
    sed -n 's/^Buffers: *\([0-9]*\) kB/\1/p' /proc/meminfo
}

for sector in 512 4096; do
    data=$(/ref/losetup --show -f -r -b "$sector" image)
    # The kernel drops a device's pages when no process has it open.
    exec 9<"$data"
    for threads in 1 2 7; do
        before=$(cached "$data")
        vs format "$data" h2 --salt=aa --uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033 \
            --data-block-size=512 --hash-block-size=512 --threads="$threads" >made
        [ "$(root_hash made)" = "$root" ] || fail "another root hash"
        same h h2
        after=$(sed -n 's/^Buffers: *\([0-9]*\) kB/\1/p' /proc/meminfo)
        # The 4.4 MB did not go through the page cache.
        [ $((after - before)) -lt 3000 ] || fail "$before KiB of buffers before and $after after: read through the cache"
        cached "$data" >/dev/null
        vs verify "$data" h "$root" --threads="$threads"
    done
    exec 9<&-
    losetup -d "$data"
done

printf x | dd of=image bs=1 seek=$((4096 * 600 + 77)) conv=notrunc status=none
printf x | dd of=image bs=1 seek=$((4096 * 1099)) conv=notrunc status=none
data=$(/ref/losetup --show -f -r -b 4096 image)
cached "$data" >/dev/null
run vs verify "$data" h "$root"
expect_code 2
expect_err "Verification failed at position 2457600.
Verification failed at position 4501504.
Verification of data area failed."
losetup -d "$data"
