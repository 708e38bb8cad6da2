# Damaged blocks read back correctly, wherever the FEC area is and whichever tool made it, while the devices stay
# damaged; then `repair` corrects the devices.
# long: between
# kernels: 6.1 6.12 7
# timeout: 600

make_image image 300
maker=vs
opener=vs
hint=--use-tasklets

# keep NAME: saves the contents of the devices.
keep() {
    cat "$data" >"$1.data"
    cat "$hash" >"$1.hash"
    cat "$fec" >"$1.fec"
}

# still NAME: fails unless the contents of the devices are as saved.
still() {
    same "$1.data" "$data"
    same "$1.hash" "$hash"
    same "$1.fec" "$fec"
}

# shows STATUS LINE: fails unless the status has this line.
shows() {
    echo "$1" | grep -qxF "$2" || fail "the status does not say \"$2\": $1"
}

# heals DATA HASH FEC OPTIONS...: formats, damages, reads and repairs.
heals() {
    data=$1 hash=$2 fec=$3
    shift 3
    roots=2 offset=0 parity=0
    for option in "$@"; do
        case $option in
        --fec-roots=*) roots=${option#*=} ;;
        --hash-offset=*) offset=${option#*=} ;;
        --fec-offset=*) parity=${option#*=} ;;
        esac
    done
    $maker format "$data" "$hash" --fec-device="$fec" --salt=aa "$@" >made
    root=$(root_hash made)
    keep good

    # The data and the tree's 1 + 3 blocks form two rounds, the even blocks and the odd ones. Block 200 is the only
    # damage in its round; in the other round no two bad bytes are at the same offset in their blocks.
    tree=$((offset + 4096))
    damage "$data" $((200 * 4096)) 4096
    damage "$data" $((11 * 4096 + 17)) 7
    damage "$hash" $((tree + 4096 + 100)) 100
    damage "$fec" $((parity + (4096 + 4000) * roots)) 1
    keep damaged

    for tasklets in "" $hint; do
        $opener open "$data" v0 "$hash" "$root" --fec-device="$fec" "$@" $tasklets
        same image /dev/mapper/v0
        # The hashes are cached by now, as a tasklet needs; it handles small reads only.
        for block in 11 200; do
            dd if=/dev/mapper/v0 of=found bs=4096 skip=$block count=1 iflag=direct
            dd if=image of=expected bs=4096 skip=$block count=1
            same expected found
        done
        status=$(vs status v0)
        echo "$status" | grep '^  FEC device:  /dev/loop[0-9]*$'
        shows "$status" "  FEC offset:  $((parity / 512)) [512-byte units] ($parity [bytes])"
        shows "$status" "  FEC roots:   $roots"
        # The status is then verified or corrupted, depending on the kernel.
        case $kernel in
        7) echo "$status" | grep '^  FEC repaired: [1-9][0-9]* \[events\]$' ;;
        *) [ "$(echo "$status" | grep -c 'FEC repaired:')" = 0 ] ;;
        esac
        [ -z "$tasklets" ] || shows "$status" "  flags:       try_verify_in_tasklet "
        vs close v0
    done
    still damaged

    # The damaged byte of the FEC area counts as an error too.
    run $opener verify "$data" "$hash" --fec-device="$fec" "$@" "$root"
    expect_code 0
    run vs verify --strict "$data" "$hash" --fec-device="$fec" "$@" "$root"
    expect_code 2
    expect_out ""
    expect_text "what verify ends with" "Found 4204 repairable errors with FEC device." "$(echo "$err" | tail -n 1)"
    run vs repair "$data" "$hash" --fec-device="$fec" "$@" "$root"
    expect_code 0
    expect_out "Data block 11 at position 45056: 7 wrong bytes.
Data block 200 at position 819200: 4096 wrong bytes.
Hash block $((tree / 4096 + 1)) at position $((tree + 4096)): 100 wrong bytes.
FEC area: 1 wrong bytes.
Repaired 4204 errors."
    expect_err ""
    still good
    run vs verify --strict "$data" "$hash" --fec-device="$fec" "$@" "$root"
    expect_code 0
    expect_out ""
    expect_err ""

    # After the repair the image reads back without FEC too.
    vs open "$data" v0 "$hash" --hash-offset="$offset" "$root"
    same image /dev/mapper/v0
    vs close v0
}

# Three loop devices of exactly the size needed; their backing files have the contents afterwards.
for roots in 2 24; do
    cp image d
    truncate -s 20K h
    truncate -s $((2 * 4096 * roots)) f
    heals "$(attach d)" "$(attach h)" "$(attach f)" --fec-roots=$roots
    losetup -d "$data"
    losetup -d "$hash"
    losetup -d "$fec"
    same image d
    same good.hash h
    same good.fec f
    rm h f
done

# Tasklets behave the same wherever the area is.
hint=

# The FEC area on the hash device after the tree, on the data device, and all areas on one device.
cp image d
truncate -s 128K h
hash=$(attach h)
heals "$(attach d)" "$hash" "$hash" --fec-offset=20480
losetup -d "$data"
losetup -d "$hash"
same good.hash h
truncate -s 2M d
truncate -s 20K h
data=$(attach d)
heals "$data" "$(attach h)" "$data" --data-blocks=300 --fec-offset=$((300 * 4096))
losetup -d "$hash"
heals "$data" "$data" "$data" --data-blocks=300 --hash-offset=$((300 * 4096)) --fec-offset=$((305 * 4096)) --fec-roots=7
losetup -d "$data"
same good.data d

# Files, which open attaches; images that the reference formats and ours opens, and the reverse.
cp image d
rm h
heals d h f --fec-roots=5
rm h f
maker=ref
heals d h f
rm h f
maker=vs
opener=ref
heals d h f
nothing_left
