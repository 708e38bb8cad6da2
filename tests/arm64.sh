#!/bin/sh
# `make test-arm64`: builds for 64-bit Arm, and runs under QEMU the library's unit tests and the tests of the command
# that hash and encode, on processors with all extensions and without some, and in builds held to one backend. Then all
# cases of tests/vm/ that 64-bit Arm can run, on Debian's kernels.
# STD=nightly has a nightly compiler build the standard library even if rustup has it.
set -eu
cd "$(dirname "$0")/.."
. tests/cross.sh
prepare aarch64
names aarch64
echo "Building for $target with $how"

# Processors with SHA-1 and SHA-256, and with SHA-512 too. QEMU has none without any of them.
some="cortex-a53 cortex-a72 neoverse-n1"
all=max

# hashes_with CPU ALGORITHM: the names of the command's backends for it, which include `portable`.
hashes_with() {
    QEMU_CPU=$1 "$command" benchmark --hash="$2" | awk -v name="$2" '$1 == name { print $2 }' | paste -sd ' '
}

# expect CPU ALGORITHM BACKENDS
expect() {
    has=$(hashes_with "$1" "$2")
    [ "$has" = "$3" ] || {
        echo "$1 hashes $2 with $has, not with $3" >&2
        exit 1
    }
}

# shellcheck disable=SC2086 # one word each
unit_tests() {
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64-static \
        "$cargo" $toolchain test --quiet --locked -p dmverity --lib --target "$target" $build_std -- "$@"
}

QEMU_CPU=$all unit_tests hash:: fec:: tree:: format:: line:: value::
for cpu in $some; do
    echo "$cpu:"
    QEMU_CPU=$cpu unit_tests lanes hash::b
done

build_command aarch64
keep_command aarch64 aarch64
for cpu in $some; do
    expect "$cpu" sha1 "arm_ce neon portable"
    expect "$cpu" sha256 "arm_ce neon portable"
    expect "$cpu" sha512 portable
done
expect $all sha1 "arm_ce neon portable"
expect $all sha256 "arm_ce neon portable"
expect $all sha512 "arm_ce portable"
export QEMU_CPU=$all DMVERITY_ONE_OF=11
test_command golden:: reference:: fec large:: bad_input algorithms:: append zeros::
QEMU_CPU=cortex-a53 test_command golden::

for backend in arm_ce neon portable; do
    wrapper=$(cd "$built" && pwd)/arches/rustc-$backend
    # As `make forced` does.
    # shellcheck disable=SC2016 # for the script
    printf '#!/bin/sh\nexec "$@" --cfg dmverity_backend=\\"%s\\"\n' "$backend" >"$wrapper"
    chmod +x "$wrapper"
    RUSTC_WORKSPACE_WRAPPER=$wrapper build_command aarch64
    keep_command aarch64 "aarch64-$backend"
    case $backend in
    arm_ce) expect $all sha256 "arm_ce portable" && expect $all sha512 "arm_ce portable" ;;
    neon) expect $all sha256 "neon portable" && expect $all sha512 portable ;;
    portable) expect $all sha256 portable && expect $all sha512 portable ;;
    esac
    test_command golden:: fec_reference::
done

test_machines --include-ignored
