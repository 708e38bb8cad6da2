#!/bin/sh
# `make bench-arm64`: estimates for 64-bit Arm processors, of which none is needed: which instructions run is seen under
# QEMU, and how many cycles they take, with all data in the first-level cache, is LLVM's estimate (llvm-mca). Prints
# tables for man/benchmarks.md.
set -eu
cd "$(dirname "$0")/../.."
. tests/cross.sh
prepare aarch64
names aarch64
work=$built/arches/bench
mkdir -p "$work"

# build FLAGS: the example `speed`, with addresses that are known before it runs.
build() {
    # shellcheck disable=SC2086 # one word each
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static $1" \
        "$cargo" $toolchain build --profile plain --locked -p dmverity --no-default-features --example speed \
        --target "$target" --target-dir "$work/target" $build_std
    program=$work/target/$target/plain/examples/speed
    "$gnu-nm" -CS "$program" >"$work/symbols"
    "$gnu-objdump" -d --no-show-raw-insn "$program" | sed -n 's/^ *\([0-9a-f]*\):\t\([^<]*\).*/\1\t\2/p' >"$work/text"
}

# turn ROW FUNCTION: runs a row of the program for a moment, and keeps one turn of the outermost loop of a function, the
# largest one of that name: in the longest call, the instructions between two executions of one that is executed once in
# each turn.
turn() {
    where=$(awk -v name="$2" 'index($0, name) { print $2, $1 }' "$work/symbols" | sort | tail -n 1)
    [ -n "$where" ] || { echo "there is no function $2" >&2; exit 1; }
    rm -f "$work/trace"
    # The limit for the size of files ends it, or the time.
    { (
        ulimit -c 0
        ulimit -f 20000
        timeout 60 qemu-aarch64-static -singlestep -d exec,nochain -D "$work/trace" \
            -dfilter "0x${where#* }+0x${where% *}" "$program" "$1" >"$work/output" 2>&1
    ) || :; } 2>/dev/null
    sed -n 's|^Trace [^/]*/0*\([0-9a-f]*\)/.*|\1|p' "$work/trace" | awk -F '\t' '
        NR == FNR { text[$1] = $2 " " $3; next }
        { all[++count] = $1; if ($1 == all[1]) start = count }
        count - start > last - first { first = start; last = count }
        END {
            for (i = first; i <= last; i++) times[all[i]]++
            for (address in times) if (times[address] > 4 && (!least || times[address] < least)) least = times[address]
            for (mark = first; times[all[mark]] != least; ) mark++
            for (i = mark; seen < 3 && i <= last; i++) {
                if (all[i] == all[mark]) seen++
                if (seen == 2) print text[all[i]]
            }
        }' "$work/text" - | sed 's/^\(adrp [^,]*\),.*/\1, #0/' >"$work/turn"
    ! grep '^bl ' "$work/turn" || { echo "$2 calls something: $where" >&2; exit 1; }
}

# estimate ROW FUNCTION FACTOR: keeps in the file ROW how many instructions and, by each of `cpus`, cycles FACTOR turns
# are.
estimate() {
    turn "$1" "$2"
    factor=$3
    # A multiplication by a coefficient of 8 outputs looks 32 vectors up: so many rows of 32 bytes are in a turn.
    [ "$factor" != rows ] || factor="128 * 32 / $(grep -c '^tbl' "$work/turn")"
    # A branch takes the way that it took.
    grep -v -e '^b[ .]' -e '^[ct]bn*z ' "$work/turn" >"$work/turn.s"
    {
        wc -l <"$work/turn"
        for cpu in $cpus; do
            llvm-mca-22 -mtriple=aarch64 -mcpu="$cpu" -mattr=+sha2,+sha3 -iterations=100 "$work/turn.s" |
                awk '/^Total Cycles/ { print $3 / 100 }'
        done
    } | awk "{ printf \"%d\\n\", \$1 * $factor }" >"$work/$1"
}

# show WHAT CRATE OURS: a row of the table.
show() {
    paste "$work/$2" "$work/$3" | awk -v what="$1" '
        NR == 1 { printf "| %s | %d | %d |", what, $1, $2 }
        NR > 1 { printf " %d | %d | %.2f |", $1, $2, $1 / $2 }
        END { print "" }'
}

# heading: the table's head for `cpus`.
heading() {
    echo
    printf '| what | instructions: crate | ours |'
    for cpu in $cpus; do printf ' %s: crate | ours | times as fast |' "$cpu"; done
    printf '\n|---|---:|---:|'
    for cpu in $cpus; do printf -- '---:|---:|---:|'; done
    echo
}

build ""
cpus="neoverse-n1 neoverse-v2 cortex-a76 apple-m1"
heading
estimate "sha256, portable" sha2::sha256::aarch64_sha2::compress 65
estimate "sha256, arm_ce" lanes::arm_ce::sha256 65/3
show sha256 "sha256, portable" "sha256, arm_ce"
estimate "sha1, portable" sha1::compress::aarch64_sha2::compress 65
estimate "sha1, arm_ce" lanes::arm_ce::sha1 65/3
show sha1 "sha1, portable" "sha1, arm_ce"
# The others do not have it.
cpus="neoverse-v2 apple-m1"
heading
estimate "sha512, portable" sha2::sha512::aarch64_sha3::compress 33
estimate "sha512, arm_ce" lanes::arm_ce::sha512 33/2
show sha512 "sha512, portable" "sha512, arm_ce"
# Processors without the extension.
cpus="cortex-a72 cortex-a53"
estimate "sha256, neon" lanes::neon::sha256 65/4
estimate "sha1, neon" lanes::neon::sha1 65/4
cpus="neoverse-n1 neoverse-v2 cortex-a76 apple-m1 cortex-a72 cortex-a53"
estimate "sha256, 8 roots" lanes::neon::group rows
parity=$(paste -sd ' ' "$work/sha256, 8 roots" | sed 's/ / | /g')
build '--cfg sha1_backend="soft" --cfg sha2_backend="soft"'
cpus="cortex-a72 cortex-a53"
estimate "sha256, portable" sha2::sha256::soft 65
estimate "sha1, portable" sha1::compress::soft 65
heading
show sha256 "sha256, portable" "sha256, neon"
show sha1 "sha1, portable" "sha1, neon"
echo
printf '| what | instructions | neoverse-n1 | neoverse-v2 | cortex-a76 | apple-m1 | cortex-a72 | cortex-a53 |\n'
printf '|---|---:|---:|---:|---:|---:|---:|---:|\n'
echo "| parity of 4096 bytes, 8 roots | $parity |"
