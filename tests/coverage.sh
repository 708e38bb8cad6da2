#!/bin/sh
# The lines of the library that are covered by tests without a kernel of their own: `make coverage`. Prints a table, and
# fails if the coverage is too low.
set -eu
cd "$(dirname "$0")/.."
# The least coverage of the library, in percent of its lines...
least=${LEAST:-95}
# ...without the files that only make requests to device-mapper, the loop driver and udev. They run in the test machines
# (`cargo test -p dmverity-tests --test vm`), and are in the last table.
kernel='lib/src/(dm/(activate|control|deactivate|kmsg|lock|node|scratch|signals|status|udev|backing|loop_device|keyring))[.]rs'
others='(^|/)(cli|tests|fuzz)/|[.]cargo/registry|/rustc/|/build/.*/out/'

# The tool that reads the profiles must know the compiler's format.
version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
host=$(rustc -vV | sed -n 's/^host: //p')
for folder in "$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-" "/usr/lib/llvm-$version/bin/llvm-"; do
    if [ -x "${folder}cov" ] && [ -x "${folder}profdata" ]; then
        export LLVM_COV="${folder}cov" LLVM_PROFDATA="${folder}profdata"
        break
    fi
done
if [ -z "${LLVM_COV:-}" ]; then
    echo "LLVM $version's llvm-cov and llvm-profdata are missing: rustup component add llvm-tools," \
        "or Debian's package llvm-$version" >&2
    exit 1
fi
echo "Profiles are read by $LLVM_COV"

# The folder of the profiles.
count() {
    export CARGO_TARGET_DIR="$PWD/target/coverage"
    counting=$(cargo llvm-cov show-env --sh 2>/dev/null)
    eval "$counting"
}

# The tests of the command run an instrumented binary, but are themselves built as usual.
(
    count
    cargo llvm-cov clean --workspace --profraw-only 2>/dev/null || rm -f target/coverage/*.profraw
    cargo test --locked --quiet -p dmverity --lib --examples
    cargo build --locked --quiet -p veritysetup
)
# Tests of the shipped binary itself, of its system calls, or of limits of files and memory do not apply to one that
# writes profiles.
DMVERITY_STATIC_BIN="$PWD/target/coverage/debug/veritysetup" \
    LLVM_PROFILE_FILE="$PWD/target/coverage/command-%4m.profraw" \
    cargo test --locked --quiet -p dmverity-tests --test command -- \
    --skip a_failed_format --skip the_shipped_binary --skip a_held_binary --skip exhausted --skip dependencies --skip completions \
    --skip install --skip an_older_superblock_goes_first

report() {
    (
        count
        cargo llvm-cov report "$@"
    )
}
echo "Everything:"
report --summary-only --ignore-filename-regex "$others" | awk '{ print $1, $8, $9, $10 }' | column -t
echo "Without what only a kernel can be asked, at least $least %:"
report --summary-only --ignore-filename-regex "$others|$kernel" --fail-under-lines "$least" | tail -n 1
