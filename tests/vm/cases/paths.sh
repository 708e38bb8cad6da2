# Mappings that are named by a path: resolved by the device's number, as with the reference; by a kernel command line:
# /usr.
# long: between
# boots: bare udev

make_image d 64
truncate -s 64K h
vs format d h --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 >made
root=$(root_hash made)
vs open d v0 h "$root"
dm=/dev/dm-$(dmsetup info -c --noheadings -o minor v0)
ln -s /dev/mapper/v0 link
ln -s "$dm" "other link"
mknod node b "$(dmsetup info -c --noheadings -o major v0)" "${dm#/dev/dm-}"

vs status v0 | sed 1d >expected
for path in "$dm" ./link "$PWD/other link" ./node /dev/mapper/../mapper/v0 /dev/mapper/v0; do
    run vs status "$path"
    expect_code 0
    expect_err ""
    expect_text "the status of $path" "$path is active." "$(echo "$out" | head -n 1)"
    expect_text "the status of $path" "$(cat expected)" "$(echo "$out" | sed 1d)"
    ours=$out
    run ref status "$path"
    expect_code 0
    expect_text "the reference's first line" "$(echo "$ours" | head -n 1)" "$(echo "$out" | head -n 1)"
    run vs status "$path" --json
    expect_code 0
    expect_object '"name": "v0"' '"active": true'
    run vs open d "$path" h "$root"
    expect_code 5
    expect_err "Device $path already exists."
done
# A name is not a path.
run vs status link
expect_code 4
expect_out "/dev/mapper/link is inactive."
run vs open d ./new h "$root"
expect_code 1
expect_err "Name must not contain '/' character."

# A path that is not a mapping's is inactive too; a loop device is not touched.
loop=$(attach d)
mkdir dir
for path in ./dir ./d /dev/null "$loop" /dev/mapper/control /dev/mapper/ /; do
    run vs status "$path"
    expect_code 4
    expect_out "$path is inactive."
    expect_err ""
    run vs close "$path"
    expect_code 4
    expect_err "Device $path is not active."
done
for name in . .. control ""; do
    run vs status "$name"
    expect_code 4
    expect_out "/dev/mapper/$name is inactive."
    ours=$out
    run ref status "$name"
    expect_code 4
    [ "$name" = control ] || expect_out "$ours"
done
losetup -d "$loop"

# Closing, even of a mapping in use: messages name the mapping as the caller did.
hold "$dm" 30
run vs close "$dm" --deferred
expect_code 0
expect_out "Device $dm is still active and scheduled for deferred removal."
vs close ./node --cancel-deferred
kill "$holder"
wait "$holder" || :
for path in "$dm" ./link ./node /dev/mapper/../mapper/v0; do
    run vs close "$path"
    expect_code 0
    expect_out ""
    expect_err ""
    [ ! -e /dev/mapper/v0 ]
    run vs close "$path"
    expect_code 4
    expect_err "Device $path is not active."
    vs open d v0 h "$root"
done

# A mapping that is not verity is shown as such and not touched.
dmsetup create other --table "0 8 error"
other=/dev/dm-$(dmsetup info -c --noheadings -o minor other)
run vs status "$other"
expect_code 1
expect_out "$other is active.
  type:        n/a"
run vs close "$other"
expect_code 4
expect_err "Device $other is not a VERITY device."
dmsetup remove other
vs close v0

# As after a boot with dm-mod.create=: the mapping has no uuid and nothing has made a node in /dev/mapper. The root
# device is then what the kernel calls it.
data=$(attach d -r)
hash=$(attach h -r)
vs table "$data" "$hash" "$root" | dmsetup create root --readonly
if [ "$nodes" = bare ]; then
    rm -f /dev/mapper/root
fi
source=/dev/$(basename "$(readlink "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor --separator : root)")")
run vs status "$source"
expect_code 0
expect_text "the status" "$source is active." "$(echo "$out" | head -n 1)"
run vs status /dev/mapper/root
expect_code 0
expect_text "the status" "/dev/mapper/root is active." "$(echo "$out" | head -n 1)"
vs close "$source"
not dmsetup info root

# The mapping that a kernel command line requests for /usr.
vs table "$data" "$hash" "$root" --cmdline --usr >line
run vs open --from-cmdline=line --usr
expect_code 0
expect_out opened
expect_err ""
same d /dev/mapper/usr
vs close usr
losetup -d "$data"
losetup -d "$hash"
