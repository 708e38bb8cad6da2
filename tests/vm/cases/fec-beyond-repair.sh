# As many bad blocks as FEC can correct are read and repaired. Where one more is bad, reading fails there and only
# there, the status says so, and `repair` writes nothing. Not with pages of 16 KiB: busybox's dd reads whole
# pages.
# long: between
# kernels: 6.1 6.12 7 6.12-arm64 7-arm64
# arm64: 6.12-arm64
# timeout: 600

make_image image 600

# readable BLOCK...: fails unless these read as they were made.
readable() {
    for block in "$@"; do
        dd if=/dev/mapper/v0 of=found bs=4096 skip="$block" count=1 iflag=direct
        dd if=image of=expected bs=4096 skip="$block" count=1
        same expected found
    done
}

for roots in 2 24; do
    cp image d
    rm -f h f
    vs format d h --fec-device=f --fec-roots=$roots --salt=aa >made
    root=$(root_hash made)
    cp h good.h
    cp f good.f

    # Each round covers every third block, so this damages as many blocks of each round as there are parity bytes.
    count=$((3 * roots))
    damage d $((300 * 4096)) $((count * 4096))
    vs open d v0 h "$root" --fec-device=f --fec-roots=$roots
    readable 300 $((300 + count / 2)) $((299 + count))
    vs close v0

    # Now one round has one bad block more.
    last=$((300 + count))
    damage d $((last * 4096)) 4096
    cp d damaged
    vs open d v0 h "$root" --fec-device=f --fec-roots=$roots
    readable 301 302 $((last + 1)) 0
    for block in 300 303 $last; do
        run dd if=/dev/mapper/v0 of=/dev/null bs=4096 skip=$block count=1 iflag=direct
        [ "$code" != 0 ] || fail "block $block was read"
        case $err in
        *"Input/output error"*) ;;
        *) fail "not an I/O error: $err" ;;
        esac
    done
    run vs status v0
    expect_code 0
    echo "$out" | grep '^  status:      corrupted$'
    vs close v0

    for command in verify "verify --strict" repair "repair --dry-run"; do
        run vs $command d h --fec-device=f --fec-roots=$roots "$root"
        expect_code 2
        expect_out ""
        expect_text "the first line" "Verification failed at position 1228800." "$(echo "$err" | head -n 1)"
        echo "$err" | grep '^Errors cannot be repaired with FEC device\.$'
        same damaged d
        same good.h h
        same good.f f
    done

    # With one bad block fewer, repair corrects all of them.
    damage d $((last * 4096)) 4096
    vs repair d h --fec-device=f --fec-roots=$roots "$root" >repaired
    expect_text "the end" "Repaired $((count * 4096)) errors." "$(tail -n 1 repaired)"
    [ "$(wc -l <repaired)" = $((count + 1)) ]
    same image d
    same good.h h
    same good.f f
done
