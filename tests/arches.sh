#!/bin/sh
# Builds the static command for other processors, and runs the tests there whose outcome could depend on the processor:
# the golden vectors (byte order), positions beyond 4 GiB (32 bits), and bad input (numbers that are too large). For
# aarch64 it also runs the shorter cases of tests/vm/ on Debian's kernels for 64-bit Arm.
#   tests/arches.sh [--if-possible] aarch64|armv7|i686|s390x...
# QEMU emulates a processor that differs from this machine's. With --if-possible, a missing standard library is reported
# and the exit status is 0; and bad input is tested only where no emulator is needed: it takes minutes under one.
# STD=nightly has a nightly compiler build the library even if rustup has it.
set -eu
cd "$(dirname "$0")/.."
. tests/cross.sh
optional=
if [ "${1:-}" = --if-possible ]; then
    optional=1
    shift
fi
for arch in "${@:-none}"; do
    names "$arch" || {
        echo "usage: tests/arches.sh [--if-possible] aarch64|armv7|i686|s390x..." >&2
        exit 2
    }
done
case " $* " in
*" aarch64 "*) kernels=", nor did those on Debian's kernels for 64-bit Arm" ;;
*) kernels= ;;
esac
if ! prepare "$@"; then
    echo "The tests of the command on other processors ($*) did not run$kernels." >&2
    [ -n "$optional" ] || exit 1
    exit 0
fi

echo "Building for $* with $how"
build_command "$@"
for arch in "$@"; do
    keep_command "$arch" "$arch"
    if [ -n "$optional" ] && [ -n "$emulator" ]; then
        test_command golden:: large::
    else
        test_command golden:: large:: bad_input
    fi
done
[ -z "$kernels" ] || test_machines
