# How long reads of single blocks take with --use-tasklets and without, side by side in one boot: `make bench-tasklet`
# runs this in the test machines. $rounds, $reads (in a turn) and $blocks (of the image) can be set.
#
# Who ends a read on the data device decides where it can be verified, so there are three, all in memory: one ends it
# at once, one in a thread of its own (as below every image in a file), one in an interrupt (as disks do). Times under
# emulation may hide or exaggerate a gain: hashing takes far longer in it than otherwise, and a busy host adds its own.
# What the kernel counts for each read, and who verified it, depends little on that.
set -eu
. /vm/lib.sh
rounds=${rounds:-20} reads=${reads:-500} blocks=${blocks:-4096}
# Not the first processor, which is the one for most interrupts, when there is another.
cpu=$(($(nproc) - 1))

cd "$(mktemp -d)"
mkdir trace
mount -t tracefs tracefs trace
make_image image "$blocks"
vs format image tree --salt=aa >made
root=$(root_hash made)
tree=$(attach tree -r)

# The number of reads from the device with the hash tree.
tree_reads() {
    read -r count _ <"/sys/block/${tree#/dev/}/stat"
    echo "$count"
}

# who_verified NAME: reads the whole image block by block and prints how many the work queue verified, how many a
# softirq (a tasklet, bottom-half work, or the block layer's own), and how many the context that ended the read on the
# data device; then how often the work queue was woken to look for hashes beforehand, which the option does not save.
# Newer kernels (6.16) leave a read to the work queue although the option is there when the processor is to be handed on.
who_verified() {
    printf '%s\n' verity_verify_io verity_prefetch_io >trace/set_ftrace_filter
    echo function >trace/current_tracer
    taskset -c "$cpu" dd if="/dev/mapper/$1" of=/dev/null bs=4096 iflag=direct status=none
    # The third column holds the context: s is a softirq.
    awk '/ verity_verify_io / {
        if (/<-verity_work/) queue++
        else if ($3 ~ /s/) softirq++
        else ender++
    } / verity_prefetch_io / { prefetch++ } END { print queue + 0, softirq + 0, ender + 0, prefetch + 0 }' trace/trace
    echo nop >trace/current_tracer
}

# opened NAME WORDS ARGUMENTS...: opens the image; what the kernel has as options is exactly these words.
opened() {
    name=$1 words=$2
    shift 2
    vs open "$device" "$name" "$tree" "$root" --shared "$@"
    case $(dmsetup table "$name") in
    *" verity 1 "*" sha256 $root aa$words") ;;
    *) fail "the options of $name are not:$words" ;;
    esac
}

# compare TITLE: compares the two open mappings.
compare() {
    # Read everything once, so that all hashes are cached.
    for name in plain tasklets; do
        dd if="/dev/mapper/$name" of=/dev/null bs=4096 iflag=direct status=none
    done
    warm=$(tree_reads)
    echo
    echo "=== Linux $(uname -r), $1"
    read-latency "$cpu" "$rounds" "$reads" 1 /dev/mapper/plain /dev/mapper/tasklets
    # shellcheck disable=SC2046 # four numbers each
    set -- $(who_verified plain) $(who_verified tasklets)
    echo "of $blocks reads:"
    printf '%-24s%12s%12s\n' "verified in kverityd" "$1" "$5" "verified in a softirq" "$2" "$6" \
        "verified where it ended" "$3" "$7" "prefetches in kverityd" "$4" "$8"
    [ "$(tree_reads)" = "$warm" ] || fail "hash blocks were read again, so not all were cached"
    vs close tasklets
    vs close plain
}

# measure DEVICE TITLE: on this data device, which already holds the image. Then again with --check-at-most-once: that
# leaves out the hashing and shows the cost of everything around it.
measure() {
    device=$1
    opened plain ""
    opened tasklets " 1 try_verify_in_tasklet" --use-tasklets
    compare "$2"
    opened plain " 1 check_at_most_once" --check-at-most-once
    opened tasklets " 2 check_at_most_once try_verify_in_tasklet" --check-at-most-once --use-tasklets
    compare "$2, without hashing"
}

modprobe brd rd_nr=1 rd_size=$((blocks * 4))
dd if=image of=/dev/ram0 bs=1M status=none
measure /dev/ram0 "a RAM disk: the reader itself ends a read"
modprobe -r brd

data=$(attach image -r)
measure "$data" "a file: the loop device's thread ends a read"
losetup -d "$data"

modprobe null_blk nr_devices=1 gb=1 memory_backed=1 irqmode=2 completion_nsec=10000
dd if=image of=/dev/nullb0 bs=1M status=none
measure /dev/nullb0 "null_blk: an interrupt ends a read, 10 us later"
modprobe -r null_blk

losetup -d "$tree"
umount trace
