# One wrong byte in the data or in any level of the tree: reading it fails, and the status says so from then on.
# boots: bare udev
# arm64: 6.12-arm64 6.12-arm64-16k

make_image d 20000
vs format d h --salt=aa >made
root=$(root_hash made)

# tamper FILE OFFSET: inverts one byte, and fails if anything that depends on it can be read.
tamper() {
    cp "$1" "$1.good"
    byte=$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null | hexdump -e '1/1 "%d"')
    printf "\\x$(printf %x $((255 - byte)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
    vs open d v0 h "$root"
    run dd if=/dev/mapper/v0 of=/dev/null bs=4096 skip="$3" count=1
    [ "$code" != 0 ] || fail "a tampered block was read"
    case $err in
    *"Input/output error"*) ;;
    *) fail "not an I/O error: $err" ;;
    esac
    run vs status v0
    expect_code 0
    echo "$out" | grep '^  status:      corrupted$'
    vs close v0
    mv "$1.good" "$1"
}

# Data block 1000.
tamper d $((1000 * 4096 + 17)) 1000
# The tree has 1 + 2 + 157 blocks after the superblock's; each level in turn.
tamper h $((1 * 4096 + 20)) 1000
tamper h $((2 * 4096 + 20)) 100
tamper h $((4 * 4096 + 20)) 0

# Blocks that do not depend on the wrong byte can still be read.
cp d good
printf X | dd of=d bs=1 seek=$((1000 * 4096)) conv=notrunc
vs open d v0 h "$root"
dd if=/dev/mapper/v0 of=found bs=4096 count=500 iflag=direct
dd if=good of=expected bs=4096 count=500
same expected found
vs status v0 | grep '^  status:      verified$'
vs close v0
