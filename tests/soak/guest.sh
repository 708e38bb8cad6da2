# Opens, reads, damages, repairs and closes 8 mappings again and again, and kills some of the commands: `make soak` runs
# this in the test machines. Afterwards no loop device, mapping, node, key, semaphore, descriptor or memory may have
# leaked.
#
# A round is the life of one mapping; 8 workers run rounds at the same time, $rounds in total, or for $minutes.
set -eu
. /vm/lib.sh
. /vm/leftovers.sh
# Sets rounds and minutes.
. /etc/soak
workers=8 blocks=64

mkdir -p /run/vm
baseline
exec 3>&2
cd "$(mktemp -d)"
end=$(($(cut -d . -f 1 /proc/uptime) + minutes * 60))
# With udev, a killed command leaves the semaphore that it would have removed.
kill_with=KILL
[ "$nodes" != udev ] || kill_with=TERM
head -c 300 /dev/urandom >junk

# killed SECONDS COMMAND...: runs the command and kills it after that long, if it has not ended by then.
killed() {
    after=$1
    shift
    "$@" >/dev/null 2>&1 &
    victim=$!
    sleep "$after"
    ! kill -$kill_with $victim 2>/dev/null || killed=$((killed + 1))
    wait $victim 2>/dev/null || :
}

# forget NAME: closes the mapping or what a killed command left of it.
forget() {
    vs close "$1" >/dev/null 2>&1 || [ ! -e "/dev/mapper/$1" ] || vs close "$1"
}

# life NUMBER: one round.
life() {
    # Its own loop devices, which the kernel detaches when the mapping goes.
    vs open d$1 v$1 h$1 "$root" --fec-device=f$1
    cmp d /dev/mapper/v$1
    vs close v$1
    # A whole block and some bytes of another one, which only FEC can correct, and only in the mapping.
    damage d$1 $((7 * 4096)) 4096
    damage d$1 $((40 * 4096 + 99)) 5
    vs open d$1 v$1 h$1 "$root" --fec-device=f$1
    cmp d /dev/mapper/v$1
    vs status v$1 >/dev/null
    vs close v$1
    # Without FEC the same blocks cannot be read.
    vs open d$1 v$1 h$1 "$root"
    not cmp -s d /dev/mapper/v$1
    vs close v$1
    damage d$1 $((7 * 4096)) 4096
    damage d$1 $((40 * 4096 + 99)) 5
}

# killings NUMBER ROUND: kills commands, at different moments in each round.
killings() {
    moment=0.$(printf %02d $(($2 * 37 % 90)))
    case $(($2 % 4)) in
    0) killed $moment /bin/veritysetup open d$1 v$1 h$1 "$root" --fec-device=f$1 ;;
    1)
        vs open d$1 v$1 h$1 "$root"
        killed 0.0$(($2 % 10)) /bin/veritysetup close v$1
        ;;
    2) killed $moment /bin/veritysetup features ;;
    # Its key goes too.
    3) not /bin/veritysetup open d$1 v$1 h$1 "$root" --root-hash-signature=junk 2>/dev/null ;;
    esac
    forget v$1
}

# worker NUMBER ROUNDS: runs this many rounds.
worker() {
    round=0 killed=0
    while [ $round -lt "$2" ] && [ "$(cut -d . -f 1 /proc/uptime)" -lt $end ]; do
        round=$((round + 1))
        life "$1"
        killings "$1" $round
        [ $((round % 25)) != 0 ] || echo >&3 "worker $1: $round rounds, $killed killed, $(cut -d ' ' -f 1 /proc/uptime) s"
    done
    echo "$round $killed" >"done$1"
}

# work ROUNDS: all workers; prints how many rounds they did and how many commands were killed.
work() {
    rm -f done*
    for number in $(seq $workers); do
        # The shell has a line for each command that was killed.
        (worker "$number" "$1") >"said$number" 2>&1 &
    done
    wait
    [ "$(ls done* | wc -l)" = $workers ] || {
        tail -n 5 said*
        fail "a worker did not finish"
    } >&2
    cat done* | awk '{ rounds += $1; killed += $2 } END { print rounds " rounds, " killed " killed" }'
}

# counts: what could leak, one number in a line.
counts() {
    sync
    # Newer kernels free some objects seconds later, and what is available varies by some MiB: the best of five counts.
    for _ in 1 2 3 4 5; do
        echo 3 >/proc/sys/vm/drop_caches
        sleep 2
        cat /proc/meminfo
    done >meminfo
    awk '/^MemAvailable:/ && $2 > best { best = $2 }
        /^(SUnreclaim|KernelStack|PageTables|Percpu):/ { last[$1] = $2 }
        END { print "MemAvailable:" best; for (name in last) print name last[name] }' meminfo | sort
    # Where slab caches are merged, newer kernels keep a link for each cache of dm-bufio after its mapping is gone.
    echo "slab-links:$(ls /sys/kernel/slab 2>/dev/null | grep -c '^dm_bufio_buffer-')"
    echo "descriptors:$(cut -f 1 /proc/sys/fs/file-nr)"
    echo "keys:$(wc -l </proc/keys)"
    echo "semaphores:$(($(wc -l </proc/sysvipc/sem) - 1))"
    echo "loop-devices:$(ls -d /sys/block/loop*/loop 2>/dev/null | wc -l)"
    echo "mappings:$(ls -d /sys/block/dm-* 2>/dev/null | wc -l)"
    echo "processes:$(ls -d /proc/[0-9]* | wc -l)"
}

# slabs: the kernel's own objects, their number and size for each kind.
slabs() {
    awk 'NR > 2 { print $1, $2, $4 }' /proc/slabinfo
}

# grown_slabs: the kinds of objects that have grown most, in bytes, the most first.
grown_slabs() {
    awk 'NR == FNR { was[$1] = $2; next } $2 > was[$1] { print ($2 - was[$1]) * $3, $1, $2 - was[$1] }' slabs-before slabs-after |
        sort -rn | head -n 8
}

# grown NAME MOST: fails if the number has grown by more than this, or for free memory has shrunk by more.
grown() {
    was=$(sed -n "s/^$1://p" before)
    is=$(sed -n "s/^$1://p" after)
    by=$((is - was))
    [ "$1" != MemAvailable ] || by=$((-by))
    [ $by -le "$2" ] || fail "$1 was $was and is $is"
}

make_image d $blocks
vs format d h --fec-device=f --salt=aa -q >made
root=$(root_hash made)
for number in $(seq $workers); do
    cp d d$number
    cp h h$number
    cp f f$number
done

# The kernel keeps the loop devices that it has once made, some hundred objects each: more of them than the workers will
# have.
for loop in $(seq 96); do
    losetup -f d
done
losetup -a | cut -d : -f 1 | xargs -n 1 losetup -d

# The first rounds fill caches and make loop devices, which stay.
echo "warming up: $(work 4)"
vs features >/dev/null
nothing_left
counts >before
slabs >slabs-before
start=$(cut -d . -f 1 /proc/uptime)
did=$(work $(((rounds + workers - 1) / workers)))
took=$(($(cut -d . -f 1 /proc/uptime) - start))
# The next trial removes the scratch mapping of a killed one.
vs features >/dev/null
left=$(left_behind)
[ -z "$left" ] || fail "left behind: $left"
counts >after
slabs >slabs-after

echo "=== Linux $(uname -r), $nodes: $did, $took s"
paste before after | awk '{ split($1, was, ":"); split($2, is, ":"); printf "%-16s%10d%10d\n", was[1], was[2], is[2] }'
echo "Objects of the kernel, bytes more, kind, number more:"
grown_slabs
# Kibibytes. Two measurements of free memory in succession differ by some thousands, and the kernel keeps some memory
# for later; a leak of three pages in each round would be 12,000 in 1,000 rounds.
links=$(($(sed -n 's/^slab-links://p' after) - $(sed -n 's/^slab-links://p' before)))
# Half a kibibyte for each link that the kernel keeps.
grown MemAvailable $((8000 + links / 2))
grown SUnreclaim $((2000 + links / 2))
grown KernelStack 256
grown PageTables 512
grown descriptors 16
for name in keys semaphores loop-devices mappings; do
    grown $name 0
done
for number in $(seq $workers); do
    same d d$number
    same h h$number
    same f f$number
done
echo "nothing is missing"
