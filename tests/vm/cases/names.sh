# Names with bytes that device-mapper writes as \xHH, long names, and a node that is left over from something else.
# long: between
# boots: bare udev

make_image d 64
vs format d h --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 >made
root=$(root_hash made)

vs open d 'a b' h "$root"
same d '/dev/mapper/a\x20b'
run dmsetup info -c --noheadings --manglename none -o name 'a\x20b'
expect_out 'a\x20b'
run vs status 'a b'
expect_code 0
echo "$out" | head -n 1 | grep '^/dev/mapper/a b is active'
vs status '/dev/mapper/a\x20b' | head -n 1
vs close 'a b'

# Two names that are not UTF-8 stay two names: neither becomes U+FFFD.
one=$(printf 'n\377') other=$(printf 'n\376')
vs open d "$one" h "$root"
vs open d "$other" h "$root"
same d '/dev/mapper/n\xff'
same d '/dev/mapper/n\xfe'
run vs status "$one"
expect_code 0
echo "$out" | head -n 1 | grep -F '/dev/mapper/n\xff is active'
vs close "$one"
run vs status "$one"
expect_code 4
vs status 'n\xfe' | head -n 1
vs close "$other"

# Bytes in file names and mapping names that would move the cursor or begin a line are printed in octal.
evil=$(printf 'e\033[2J\n  status:      verified')
cp d "$evil"
vs open "$evil" "$evil" h "$root"
run vs status "$evil"
expect_code 0
echo "$out" | head -n 1 | grep -F '/dev/mapper/e\033[2J\012  status:      verified is active'
echo "$out" | grep -F '  data loop:' | grep -F '/e\033[2J\012  status:      verified'
vs close "$evil"

name=$(printf 'n%.0s' $(seq 127))
vs open d "$name" h "$root"
same d "/dev/mapper/$name"
vs close "$name"

if [ "$nodes" = bare ]; then
    # A node for another device is replaced.
    mknod /dev/mapper/v0 b 7 99
    vs open d v0 h "$root"
    same d /dev/mapper/v0
    vs close v0

    # The next close removes a node that a killed one left; a node of another kind of device is not ours.
    mknod /dev/mapper/v0 b 253 99
    run vs close v0
    expect_code 4
    [ ! -e /dev/mapper/v0 ]
    loop=$(losetup -f)
    losetup "$loop" d
    mknod /dev/mapper/v0 b $((0x$(stat -c %t "$loop"))) $((0x$(stat -c %T "$loop")))
    run vs close v0
    expect_code 4
    [ -b /dev/mapper/v0 ]
    rm /dev/mapper/v0
    losetup -d "$loop"
fi

# Device-mapper's uuid consists of the image's UUID and the name, truncated: two long names can have the same uuid.
vs open d "$name" h "$root"
other=${name%n}m
run vs open d "$other" h "$root"
expect_code 5
expect_out ""
expect_text "the first line" "Cannot create device $other, device $name has the same UUID." "$(echo "$err" | head -n 1)"
not vs status "$other"
vs close "$name"
