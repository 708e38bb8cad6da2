# Every option of open alone and all pairs, without and with FEC: the image opens, opens without the hint, or is refused
# with the option named. Nothing is left after a refusal.
# long: between
# timeout: 600
# files: tests/vm/expected/open-options.txt

make_image d 64
ref format d h --fec-device=f --salt=aa >made
root=$(root_hash made)
echo garbage >garbage
# opened OPTIONS...: fails unless the table has exactly these options.
opened() {
    table=$(dmsetup table v0)
    count=0
    for option in "$@"; do
        case $option in
        --ignore-corruption) case " $* " in *--panic-*) continue ;; *) word=ignore_corruption ;; esac ;;
        --restart-on-corruption) word=restart_on_corruption ;;
        --panic-on-corruption) word=panic_on_corruption ;;
        --error-as-corruption) case " $* " in *--panic-*) word=panic_on_error ;; *) word=restart_on_error ;; esac ;;
        --ignore-zero-blocks) word=ignore_zero_blocks ;;
        --check-at-most-once) word=check_at_most_once ;;
        --use-tasklets) word=try_verify_in_tasklet ;;
        --fec-device=*) word=fec_blocks count=$((count + 7)) ;;
        --shared | --no-fallback) continue ;;
        *) fail "what does $option stand for?" ;;
        esac
        count=$((count + 1))
        case " $table " in
        *" $word "*) ;;
        *) fail "$* gives the table $table" ;;
        esac
    done
    # shellcheck disable=SC2086 # the count follows thirteen words
    set -- $table
    [ "${14:-0}" = $count ] || fail "$count words were expected in the table $table"
    dd if=/dev/mapper/v0 of=/dev/null bs=64K count=1 2>/dev/null
    vs close v0
}

refusals=0
sed '/^#/d' /files/open-options.txt >rows
# A trace of every row would bury the row that fails.
set +x
newline='
'
while IFS='|' read -r options on_5_10 on_6_1 on_6_12 on_7; do
    case $kernel in
    5.10) expected=${on_5_10# } ;;
    6.1) expected=${on_6_1# } ;;
    6.12) expected=${on_6_12# } ;;
    7) expected=${on_7# } ;;
    esac
    expected=${expected% }
    # shellcheck disable=SC2086 # one word each
    run vs open d v0 h "$root" $options
    echo "$options: $code $err"
    case $options in
    *--restart-*) ;;
    *--ignore-corruption*--panic-*)
        expect_text "the warning" "WARNING: --panic-on-corruption overrides --ignore-corruption." "$(echo "$err" | head -n 1)"
        err=$(echo "$err" | sed 1d)
        ;;
    esac
    first=${err%%"$newline"*}
    case $expected in
    open)
        expect_code 0
        expect_err ""
        opened $options
        ;;
    drop)
        expect_code 0
        expect_err "WARNING: kernel does not support --use-tasklets; the image was opened without it."
        opened ${options%--use-tasklets*} ${options#*--use-tasklets}
        ;;
    usage)
        expect_code 1
        echo "$err" | grep -q '^veritysetup: Option '
        ;;
    root_hash_sig_key_desc)
        expect_code 1
        expect_text "the first line" "Root hash signature is malformed." "$first"
        ;;
    *)
        expect_code 1
        named=$(echo "$first" | grep -o '[a-z_]* (' | tr -d ' (' | tr '\n' '+')
        expect_text "what is named" "$expected+" "$named"
        case $first in
        "Kernel refused the dm-verity option"*) ;;
        *) fail "the first line is $first" ;;
        esac
        # The kernel's word for each option.
        [ "$(echo "$err" | grep -c "^hint: the kernel's answer to .*: E[A-Z]*: ")" = "$(echo "$expected" | tr + '\n' | wc -l)" ]
        ;;
    esac
    expect_out ""
    if [ "$code" != 0 ]; then
        nothing_left
        refusals=$((refusals + 1))
    fi
done <rows
[ "$(wc -l <rows)" -gt 130 ]
[ $refusals -gt 20 ]
