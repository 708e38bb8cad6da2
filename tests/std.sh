# shellcheck shell=sh
# Finds a standard library for other targets: one that is installed, rustup's, or one built from source by a nightly
# compiler. For scripts to read with `.`.

is_installed() {
    [ -d "$(rustc --print target-libdir --target "$1" 2>/dev/null)" ]
}

# find_std TARGET...: sets `toolchain` and `build_std`, which cargo takes, and `how`, for people. Fails and says what to
# do if there is none. STD=nightly builds it from source even if rustup has it.
find_std() {
    missing=
    for target in "$@"; do
        is_installed "$target" || missing="$missing $target"
    done
    if [ -n "$missing" ] && [ "${STD:-}" != nightly ] && command -v rustup >/dev/null; then
        echo "Installing rustup's targets:$missing"
        for target in $missing; do
            rustup target add "$target" || echo "$target cannot be had from rustup here"
            ! is_installed "$target" || missing=$(echo "$missing" | sed "s/ $target//")
        done
    fi
    toolchain='' build_std='' how="an installed standard library"
    if [ -n "$missing" ] || [ "${STD:-}" = nightly ]; then
        if ! [ -d "$(rustc +nightly --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ]; then
            echo "The standard library is missing for:${missing:- $*}" >&2
            echo "One of these brings it: rustup target add${missing:- $*}" >&2
            echo "or: rustup toolchain install nightly --component rust-src" >&2
            return 1
        fi
        # shellcheck disable=SC2034 # for the reader
        toolchain=+nightly build_std=-Zbuild-std how="the standard library built from source by a nightly compiler"
    fi
}
