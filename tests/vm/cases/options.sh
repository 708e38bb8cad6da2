# Every option of open reaches the table, in the kernel's order, and the status shows it. The case open-options covers
# what kernels refuse.
# long: between
# boots: bare
# arm64: 6.12-arm64 7-arm64

make_image d 64
vs format d h --salt=aa >made
root=$(root_hash made)

# takes WORDS OPTIONS...: fails unless the table ends in these words and the status shows the flags.
takes() {
    words=$1
    shift
    vs open d v0 h "$root" "$@"
    run dmsetup table v0
    case $out in
    *" aa${words:+ }$words") ;;
    *) fail "$* gives the table $out" ;;
    esac
    flags=$(echo "$words" | cut -d ' ' -f 2-)
    if [ -n "$words" ]; then
        vs status v0 | grep "^  flags:       $flags \$"
    else
        not sh -c '/bin/veritysetup status v0 | grep flags:'
    fi
    same d /dev/mapper/v0
    vs close v0
}

takes ""
takes "1 ignore_corruption" --ignore-corruption
takes "1 restart_on_corruption" --restart-on-corruption
takes "1 panic_on_corruption" --panic-on-corruption
takes "1 ignore_zero_blocks" --ignore-zero-blocks
takes "1 check_at_most_once" --check-at-most-once
takes "3 ignore_corruption ignore_zero_blocks check_at_most_once" \
    --check-at-most-once --ignore-zero-blocks --ignore-corruption
case $kernel in
5.10) ;;
*) takes "1 try_verify_in_tasklet" --use-tasklets ;;
esac
case $kernel in
5.10 | 6.1) ;;
*)
    takes "2 restart_on_corruption restart_on_error" --restart-on-corruption --error-as-corruption
    takes "5 panic_on_corruption panic_on_error ignore_zero_blocks check_at_most_once try_verify_in_tasklet" \
        --panic-on-corruption --error-as-corruption --ignore-zero-blocks --check-at-most-once --use-tasklets
    ;;
esac
