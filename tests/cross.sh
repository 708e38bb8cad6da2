# shellcheck shell=sh
# Builds for other processors, and runs under QEMU what was built. For scripts to read with `.`, in the project's
# folder.
cargo=${CARGO:-cargo}
built=${CARGO_TARGET_DIR:-target}
. tests/std.sh

# The names that Rust and the C compiler use for the target, and QEMU for the processor. Fails for an unknown one.
names() {
    case $1 in
    aarch64) target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu qemu=aarch64 ;;
    armv7) target=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf qemu=arm ;;
    i686) target=i686-unknown-linux-gnu gnu=i686-linux-gnu qemu=i386 ;;
    s390x) target=s390x-unknown-linux-gnu gnu=s390x-linux-gnu qemu=s390x ;;
    *) return 1 ;;
    esac
}

# prepare ARCH...: finds a standard library for each (see std.sh) and sets what cargo needs to build static programs.
# Fails if there is no library.
prepare() {
    targets=
    for arch in "$@"; do
        names "$arch"
        targets="$targets $target"
        # The build script reads libdevmapper's header with clang, which must be pointed to the other C library. The
        # variable with the target's name does not affect programs that are built for this machine.
        name=$(echo "$target" | tr - _)
        float=
        [ "$arch" != armv7 ] || float=-mfloat-abi=hard
        export "BINDGEN_EXTRA_CLANG_ARGS_$name=--target=$gnu $float --sysroot=/usr/$gnu -I/usr/$gnu/include -I/usr/include"
        name=$(echo "$name" | tr a-z A-Z)
        export "CARGO_TARGET_${name}_LINKER=$gnu-gcc" "CARGO_TARGET_${name}_RUSTFLAGS=-C target-feature=+crt-static"
    done
    export PKG_CONFIG_ALLOW_CROSS=1
    # shellcheck disable=SC2086 # one word each
    find_std $targets
}

# build_command ARCH...: builds the command for each.
build_command() {
    targets=
    for arch in "$@"; do
        names "$arch"
        targets="$targets --target $target"
    done
    # Not optimized across crates, which would take three times as long.
    # shellcheck disable=SC2086 # one word each
    CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        "$cargo" $toolchain build --release --locked -p veritysetup $targets $build_std
}

# keep_command ARCH NAME: copies the built command to a folder of that name, with a script beside it that runs it, and
# sets `command` to the script's path.
keep_command() {
    names "$1"
    folder=$built/arches/$2
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    cp "$built/$target/release/veritysetup" "$folder/binary"
    # This machine's own processor may run it: i686 on x86-64.
    emulator=
    "$folder/binary" --version >"$folder/version" 2>&1 || emulator="qemu-$qemu-static "
    command=$folder/veritysetup
    printf '#!/bin/sh\nexec %s"%s" "$@"\n' "$emulator" "$folder/binary" >"$command"
    chmod +x "$command"
    echo "$2: $("$command" --version), run by ${emulator:-this processor}"
}

# test_machines [OPTION...]: runs the cases on Debian's kernels for 64-bit Arm, with the command kept as aarch64.
test_machines() {
    DMVERITY_ARM64_BIN=$(cd "$built" && pwd)/arches/aarch64/binary \
        "$cargo" test --quiet --locked --workspace --test vm -- "$@"
}

# test_command PATTERN...: runs these tests with `command`.
test_command() {
    DMVERITY_STATIC_BIN=$command "$cargo" test --quiet --locked --workspace --test command -- "$@"
}
