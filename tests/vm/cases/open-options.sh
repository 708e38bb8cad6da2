# Every option of open alone and all pairs, without and with FEC: opened, opened without the hint, or refused with the
# option named; and after a refusal nothing is left.
# timeout: 600
# files: tests/vm/expected/open-options.txt

make_image d 64
ref format d h --fec-device=f --salt=aa >made
root=$(root_hash made)
echo garbage >garbage
case $kernel in
5.10) column=2 ;;
6.1) column=3 ;;
6.12) column=4 ;;
7) column=5 ;;
esac

# words OPTIONS...: what the table has to hold for them.
words() {
    for option in "$@"; do
        case $option in
        --error-as-corruption) case " $* " in *--panic-*) echo panic_on_error ;; *) echo restart_on_error ;; esac ;;
        --use-tasklets) echo try_verify_in_tasklet ;;
        --fec-device=*) echo "fec_blocks" ;;
        --shared | --no-fallback) ;;
        --ignore-corruption) case " $* " in *--panic-*) ;; *) echo ignore_corruption ;; esac ;;
        --*) echo "${option#--}" | tr - _ ;;
        esac
    done
}

# opened OPTIONS...: the table holds these and nothing else.
opened() {
    table=$(dmsetup table v0)
    count=0
    for word in $(words "$@"); do
        case " $table " in
        *" $word "*) ;;
        *) fail "$* gives the table $table" ;;
        esac
        if [ "$word" = fec_blocks ]; then count=$((count + 8)); else count=$((count + 1)); fi
    done
    [ "$(echo "$table" | awk '{ print (NF > 13) ? $14 : 0 }')" = $count ] || fail "$* gives the table $table"
    dd if=/dev/mapper/v0 of=/dev/null bs=64K count=1 2>/dev/null
    vs close v0
}

refusals=0
sed '/^#/d' /files/open-options.txt >rows
while read -r row; do
    options=$(echo "$row" | cut -d '|' -f 1)
    expected=$(echo "$row" | cut -d '|' -f $column | tr -d ' ')
    # Tracing two hundred rows would bury the one that fails.
    set +x
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
    first=$(echo "$err" | head -n 1)
    case $expected in
    open)
        expect_code 0
        expect_err ""
        opened $options
        ;;
    drop)
        expect_code 0
        expect_err "WARNING: kernel does not support --use-tasklets, opened without it."
        opened $(echo "$options" | sed s/--use-tasklets//)
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
        # The kernel's own words of each.
        [ "$(echo "$err" | grep -c '^hint: of .* the kernel said E[A-Z]*: ')" = "$(echo "$expected" | tr + '\n' | wc -l)" ]
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
