# What a case can use. It runs under `set -eux` in a fresh folder that is removed afterwards; a command that fails fails
# the case. $kernel is 5.10, 6.1, 6.12 or 7, $kernel_name tells those of 64-bit Arm from the others, $nodes is bare or
# udev.

# The kernel's page size.
case $kernel_name in
*-16k) page=16384 ;;
*) page=4096 ;;
esac

# The binary under test.
vs() {
    /bin/veritysetup "$@"
}

# The reference implementation, from the host or from Debian.
ref() {
    /ref/veritysetup "$@"
}

# Ends the case.
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Fails if the command succeeds. The shell's own `!` does not: `set -e` ignores a command that follows it.
not() {
    if "$@"; then
        fail "this was not to succeed: $*"
    fi
}

# Runs a command and sets $code, $out and $err to its exit code, standard output and standard error (without trailing
# newlines). It may fail.
run() {
    # The trace of a function would go to its standard error.
    case $- in
    *x*) traced=yes ;;
    *) traced=no ;;
    esac
    set +x
    ran=
    for word in "$@"; do
        ran="$ran '$word'"
    done
    code=0
    "$@" >/tmp/.out 2>/tmp/.err || code=$?
    out=$(cat /tmp/.out)
    err=$(cat /tmp/.err)
    [ "$traced" = no ] || set -x
}

# Fails unless the last `run` ended with this code.
expect_code() {
    [ "$code" = "$1" ] || fail "expected exit code $1, got $code; it said: $out $err"
}

# Fails unless the last `run` wrote exactly this to its standard output.
expect_out() {
    expect_text "standard output" "$1" "$out"
}

# The same for its standard error.
expect_err() {
    expect_text "standard error" "$1" "$err"
}

# Fails with the difference unless the second text is the first.
expect_text() {
    [ "$2" != "$3" ] || return 0
    printf '%s\n' "$2" >/tmp/.expected
    printf '%s\n' "$3" >/tmp/.found
    diff -u -L expected -L found /tmp/.expected /tmp/.found >&2 || :
    fail "$1 is not what was expected"
}

# expect_object TEXT...: fails unless the last `run` printed a JSON object to its standard output that contains each of
# these texts, without newlines and indentation, and nothing to its standard error. The host checks it against the
# schema.
expect_object() {
    expect_err ""
    object=$(printf '%s' "$out" | sed 's/^ *//' | tr -d '\n')
    echo "json-object: $object"
    for text in "$@"; do
        case $object in
        *"$text"*) ;;
        *) fail "no $text in $object" ;;
        esac
    done
}

# Runs the command of the last `run`, which was refused, again with --json: fails unless it ends with the same code and
# its object has the same message.
refused_as_json() {
    first_line=$(echo "$err" | head -n 1)
    refused_with=$code
    eval "run $ran --json"
    expect_code "$refused_with"
    expect_object "\"error\": {\"code\": $refused_with," "\"message\": \"$first_line\""
}

# Fails unless two files or devices hold the same bytes.
same() {
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

# The root hash in the output of format, from a file or standard input.
root_hash() {
    sed -n 's/^Root hash:[[:space:]]*//p' "$@"
}

# make_image FILE BLOCKS: makes a file of that many blocks of 4096 bytes, always the same. No two blocks are equal, and
# nothing in a block repeats (it is a Thue-Morse word of two numbers). A random device would be slow.
make_image() {
    awk -v blocks="$2" 'BEGIN {
        for (block = 1; block <= blocks; block++) {
            a = sprintf("%08x", block); b = sprintf("%08x", (block * 2654435) % 4294967296)
            while (length(a) < 4096) { word = a b; b = b a; a = word }
            printf "%s", a
        }
    }' >"$1"
}

# damage FILE OFFSET BYTES: changes each of these bytes of a file or device; a second call changes them back.
damage() {
    dd if="$1" bs=64K iflag=skip_bytes,count_bytes skip="$2" count="$3" 2>/dev/null |
        tr '\000-\177\200-\377' '\200-\377\000-\177' |
        dd of="$1" bs=64K oflag=seek_bytes seek="$2" conv=notrunc 2>/dev/null
}

# make_signed_image: makes an image d and its hash tree h, and sets $root to the root hash, which /signatures signs.
make_signed_image() {
    make_image d 64
    vs format d h --salt=724ad0 --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 >made
    root=$(root_hash made)
    expect_text "the root hash of the signed image" "$(cat /signatures/root-hash)" "$root"
}

# hold DEVICE SECONDS: starts a process in the background, $holder, that keeps the device open.
hold() {
    exec 9<"$1"
    sleep "$2" &
    holder=$!
    exec 9<&-
}

# attach FILE [losetup's options]: attaches the file to a free loop device and prints the device.
attach() {
    file=$1
    shift
    device=$(losetup -f)
    losetup "$@" "$device" "$file"
    echo "$device"
}

# Fails if there is a mapping, a node, a loop device, a semaphore or a key of ours, or a mount.
nothing_left() {
    . /vm/leftovers.sh
    left=$(left_behind)
    [ -z "$left" ] || fail "left behind: $left"
}
