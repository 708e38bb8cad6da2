# How many instructions `open`, `status` and `close` execute outside the kernel, ours and the reference's: `make
# bench-open` runs this in the test machines. callgrind counts them; what it emulates is a processor with AVX2, so that
# ours hashes with that.
set -eu
. /vm/lib.sh
cd "$(mktemp -d)"
make_image image 1024
ref format image tree --salt=aa >made
root=$(root_hash made)
data=$(attach image -r)
tree=$(attach tree -r)

# counted COMMAND...: runs it, and prints how many instructions it executed.
counted() {
    VALGRIND_LIB=/valgrind VALGRIND_LAUNCHER=/valgrind/valgrind /valgrind/callgrind-amd64-linux --tool=callgrind \
        --default-suppressions=no --callgrind-out-file=/dev/null --log-file=log "$@" >output 2>&1 || {
        cat output log
        fail "$* failed under callgrind"
    }
    sed -n 's/^==[0-9]*== Collected : //p' log
}

# compared WHAT ARGUMENTS...: a row of the table. The mapping is there afterwards as it was before.
compared() {
    what=$1
    shift
    reference=$(counted /ref/veritysetup "$@")
    case $1 in
    open) counted /ref/veritysetup close v0 >/dev/null ;;
    close) vs open "$data" v0 "$tree" "$root" ;;
    esac
    ours=$(counted /bin/veritysetup "$@")
    case $1 in
    open) vs close v0 ;;
    close) vs open "$data" v0 "$tree" "$root" ;;
    esac
    awk -v what="$what" -v theirs="$reference" -v ours="$ours" \
        'BEGIN { printf "| %s | %d | %d | %.2f |\n", what, theirs, ours, ours / theirs }'
}

set +x
echo "Linux $(uname -r)"
echo
echo "| what | reference (instructions) | ours (instructions) | ours / reference |"
echo "|---|---:|---:|---:|"
compared "dump" dump "$tree"
compared "open, two loop devices" open "$data" v0 "$tree" "$root"
compared "open, two files" open image v0 tree "$root"
vs open "$data" v0 "$tree" "$root"
compared "status" status v0
compared "close" close v0
vs close v0
losetup -d "$data"
losetup -d "$tree"
