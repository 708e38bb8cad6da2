#!/bin/sh
# `make check-targets`: type-checks the library without device-mapper for systems that have none, says with which
# standard library, and computes a root hash in WebAssembly with node. STD=nightly builds each standard library from
# source.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
built=${CARGO_TARGET_DIR:-target}
. tests/std.sh

command -v node >/dev/null || {
    echo "node is missing, which runs WebAssembly: install Debian's package nodejs" >&2
    exit 1
}
for triple in x86_64-pc-windows-gnu aarch64-apple-darwin aarch64-unknown-linux-musl wasm32-unknown-unknown; do
    find_std "$triple"
    # shellcheck disable=SC2086 # none or one word
    "$cargo" $toolchain check --quiet --locked -p dmverity --no-default-features --target "$triple" $build_std
    # shellcheck disable=SC2086 # none or one word
    "$cargo" $toolchain check --quiet --locked -p dmverity --no-default-features --features signature,ddi \
        --target "$triple" $build_std
    echo "$triple: compiles, with $how"
done
# shellcheck disable=SC2086 # none or one word
"$cargo" $toolchain build --quiet --locked --manifest-path tests/wasm/Cargo.toml --target wasm32-unknown-unknown \
    --target-dir "$built/wasm" $build_std
node tests/wasm/run.mjs "$built/wasm/wasm32-unknown-unknown/debug/dmverity_wasm.wasm"
