# Data, hash and FEC devices that fail, by an error target and by a flaky target whose writes fail. Each command says
# what it could not do, removes its own devices and leaves no image that loads.
# long: between
# kernels: 6.1 7
# timeout: 300

make_image d 300
salt="--salt=aa --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71"
vs format d h --fec-device=f $salt >made
root=$(root_hash made)
cp d good.d
cp h good.h
cp f good.f
data=$(attach d)
hash=$(attach h)
fec=$(attach f)
# A loaded module would keep device-mapper from being unloaded.
trap 'rmmod dm_flakey 2>/dev/null || :' EXIT

# break_at NAME DEVICE SECTOR: maps the device as /dev/mapper/NAME, where the eight sectors starting at SECTOR fail.
break_at() {
    sectors=$(blockdev --getsz "$2")
    {
        [ "$3" = 0 ] || echo "0 $3 linear $2 0"
        echo "$3 8 error"
        [ $(($3 + 8)) -ge "$sectors" ] || echo "$(($3 + 8)) $((sectors - $3 - 8)) linear $2 $(($3 + 8))"
    } | dmsetup create "$1"
    dmsetup mknodes "$1"
}

# refuse_writes NAME DEVICE: maps the device as /dev/mapper/NAME, where every write fails.
refuse_writes() {
    dmsetup create "$1" --table "0 $(blockdev --getsz "$2") flakey $2 0 0 1800 1 error_writes"
    dmsetup mknodes "$1"
}

gone() {
    dmsetup remove "$1"
    rm -f "/dev/mapper/$1"
}

# fails CODE TEXT COMMAND...: the command exits with this code, and its message begins with this text.
fails() {
    wanted=$1
    text=$2
    shift 2
    run "$@"
    expect_code "$wanted"
    expect_out ""
    expect_text "the first line" "$text" "$(echo "$err" | head -n 1)"
    case $err in *"I/O error"*) ;; *) fail "no reason in $err" ;; esac
}

still_good() {
    cmp good.d "$data"
    cmp good.h "$hash"
    cmp good.f "$fec"
}

# Reads that fail.
break_at bad "$data" 800
fails 1 "Cannot read device /dev/mapper/bad." vs verify /dev/mapper/bad "$hash" "$root"
fails 1 "Cannot read device /dev/mapper/bad." vs verify /dev/mapper/bad "$hash" --fec-device="$fec" --strict "$root"
fails 1 "Cannot read device /dev/mapper/bad." vs repair /dev/mapper/bad "$hash" --fec-device="$fec" "$root"
fails 1 "Cannot read device /dev/mapper/bad." vs format /dev/mapper/bad new --fec-device=new.fec
[ ! -e new ]
[ ! -e new.fec ]
# Everything that the kernel can read is correct.
vs open /dev/mapper/bad v0 "$hash" "$root"
not dd if=/dev/mapper/v0 of=/dev/null bs=4096
# Only blocks far from the bad one are checked: a kernel may read many at a time.
cmp -n 65536 good.d /dev/mapper/v0
vs close v0
gone bad
still_good

for sector in 0 8; do
    break_at bad "$hash" $sector
    fails 1 "Cannot read device /dev/mapper/bad." vs verify "$data" /dev/mapper/bad "$root"
    fails 1 "Cannot read device /dev/mapper/bad." vs repair "$data" /dev/mapper/bad --fec-device="$fec" "$root"
    if [ $sector = 0 ]; then
        fails 1 "Cannot read device /dev/mapper/bad." vs dump /dev/mapper/bad
        fails 1 "Cannot read device /dev/mapper/bad." vs open "$data" v0 /dev/mapper/bad "$root"
        fails 1 "Cannot read device /dev/mapper/bad." vs format "$data" /dev/mapper/bad --salt=bb
    fi
    not dmsetup info v0
    gone bad
    still_good
done

break_at bad "$fec" 8
vs verify "$data" "$hash" --fec-device=/dev/mapper/bad "$root"
fails 1 "Cannot read device /dev/mapper/bad." vs verify "$data" "$hash" --fec-device=/dev/mapper/bad --strict "$root"
fails 1 "Cannot read device /dev/mapper/bad." vs repair "$data" "$hash" --fec-device=/dev/mapper/bad "$root"
gone bad
still_good

# The superblock can be written, but the tree cannot: the result does not load.
break_at bad "$hash" 16
fails 1 "Cannot sync device /dev/mapper/bad." vs format "$data" /dev/mapper/bad --salt=bb
gone bad
run vs dump "$hash"
expect_code 1
expect_err "Device $hash is not a valid VERITY device."
cat good.h >"$hash"

# A superblock that cannot be wiped: the existing image stays intact.
refuse_writes bad "$hash"
run vs format "$data" /dev/mapper/bad --salt=bb
expect_code 1
expect_out ""
gone bad
still_good
vs verify "$data" "$hash" "$root"

# Parity that cannot be written: no image is left.
refuse_writes bad "$fec"
run vs format "$data" "$hash" --fec-device=/dev/mapper/bad --salt=bb
expect_code 1
expect_text "the first line" "Cannot sync device /dev/mapper/bad." "$(echo "$err" | head -n 1)"
gone bad
run vs dump "$hash"
expect_code 1
cat good.h >"$hash"
still_good

# repair says what it cannot write; each block is then as it was or as it should be.
damage d 8192 4096
damage f 12000 1
sync
refuse_writes bad "$data"
run vs repair /dev/mapper/bad "$hash" --fec-device="$fec" "$root"
expect_code 1
expect_text "the first line" "Cannot sync device /dev/mapper/bad." "$(echo "$err" | head -n 1)"
gone bad
vs repair "$data" "$hash" --fec-device="$fec" "$root"
still_good

losetup -d "$data"
losetup -d "$hash"
losetup -d "$fec"
nothing_left
