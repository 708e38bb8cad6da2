# shellcheck shell=sh
# What the demos share. It is read by them, with $veritysetup set to the binary.

# Shows a command as a user types it, and runs it.
show() {
    echo
    echo "\$ $*"
    case $1 in
    veritysetup) shift; "$veritysetup" "$@" ;;
    *) "$@" ;;
    esac
}

# The same for a command that has to fail.
refused() {
    if show "$@"; then
        echo "this was to be refused" >&2
        exit 1
    fi
    echo "(exit status not 0: refused)"
}

# Inverts the byte at an offset of a file.
flip() {
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %o $((255 - byte)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
