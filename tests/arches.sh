#!/bin/sh
# Builds the static command for other processors, and runs the tests there whose outcome could depend on the processor:
# the golden vectors (byte order), positions beyond 4 GiB (32 bits), and bad input (numbers that are too large).
#   tests/arches.sh [--if-possible] aarch64|armv7|i686|s390x...
# QEMU emulates a processor that differs from this machine's. With --if-possible, a missing standard library is reported
# and the exit status is 0. STD=nightly has a nightly compiler build the library even if rustup has it.
set -eu
cd "$(dirname "$0")/.."
optional=
if [ "${1:-}" = --if-possible ]; then
    optional=1
    shift
fi
arches=$*
cargo=${CARGO:-cargo}
built=${CARGO_TARGET_DIR:-target}

usage() {
    echo "usage: tests/arches.sh [--if-possible] aarch64|armv7|i686|s390x..." >&2
    exit 2
}

[ -n "$arches" ] || usage

# The names that Rust and the C compiler use for the target, and QEMU for the processor.
names() {
    case $1 in
    aarch64) target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu qemu=aarch64 ;;
    armv7) target=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf qemu=arm ;;
    i686) target=i686-unknown-linux-gnu gnu=i686-linux-gnu qemu=i386 ;;
    s390x) target=s390x-unknown-linux-gnu gnu=s390x-linux-gnu qemu=s390x ;;
    *) usage ;;
    esac
}

targets=
for arch in $arches; do
    names "$arch"
    targets="$targets $target"
done
. tests/std.sh
# shellcheck disable=SC2086 # one word each
if ! find_std $targets; then
    echo "The tests of the command on other processors ($arches) did not run." >&2
    [ -n "$optional" ] || exit 1
    exit 0
fi

for arch in $arches; do
    names "$arch"
    # The build script reads libdevmapper's header with clang, which must be pointed to the other C library. The
    # variable with the target's name does not affect programs that are built for this machine.
    name=$(echo "$target" | tr - _)
    float=
    [ "$arch" != armv7 ] || float=-mfloat-abi=hard
    export "BINDGEN_EXTRA_CLANG_ARGS_$name=--target=$gnu $float --sysroot=/usr/$gnu -I/usr/$gnu/include -I/usr/include"
    name=$(echo "$name" | tr a-z A-Z)
    export "CARGO_TARGET_${name}_LINKER=$gnu-gcc" "CARGO_TARGET_${name}_RUSTFLAGS=-C target-feature=+crt-static"
done
echo "Building for $arches with $how"
# Not optimized across crates, which would take three times as long.
# shellcheck disable=SC2086 # one word each
PKG_CONFIG_ALLOW_CROSS=1 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    "$cargo" $toolchain build --release --locked -p veritysetup $(printf -- " --target %s" $targets) $build_std

for arch in $arches; do
    names "$arch"
    folder=$built/arches/$arch
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    cp "$built/$target/release/veritysetup" "$folder/binary"
    # This machine's own processor may run it: i686 on x86-64.
    emulator=
    "$folder/binary" --version >"$folder/version" 2>&1 || emulator="qemu-$qemu-static "
    printf '#!/bin/sh\nexec %s"%s" "$@"\n' "$emulator" "$folder/binary" >"$folder/veritysetup"
    chmod +x "$folder/veritysetup"
    echo "$arch: $("$folder/veritysetup" --version), run by ${emulator:-this processor}"
    DMVERITY_STATIC_BIN=$folder/veritysetup "$cargo" test --quiet --locked -p dmverity-tests --test command -- \
        golden:: large:: bad_input
done
