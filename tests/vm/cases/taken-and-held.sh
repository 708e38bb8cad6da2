# Names that are taken, devices that are held, mappings that are in use: the words and exit codes callers know.
# boots: bare udev

make_image d 64
vs format d h >made
root=$(root_hash made)
cat d h | sha256sum >before
data=$(attach d -r)
hash=$(attach h -r)
vs open "$data" v0 "$hash" "$root"

run vs open "$data" v0 "$hash" "$root"
expect_code 5
expect_out ""
expect_err "Device v0 already exists."
run vs -v create v0 "$data" "$hash" "$root"
expect_code 5
expect_out "Command failed with code -5 (device already exists or device is busy)."

# The mapping holds the data device; sharing has to be asked for.
run vs open "$data" v1 "$hash" "$root"
expect_code 5
expect_out ""
expect_err "Cannot use device $data which is in use (already mapped or mounted)."
not vs status v1
vs open "$data" v1 "$hash" "$root" --shared
same d /dev/mapper/v1
vs close v1

# While it is open it is not removed; that is waited for, in silence.
hold /dev/mapper/v0 1000
run vs close v0
expect_code 5
expect_out ""
expect_err "Device v0 is still in use."
kill $holder
wait $holder || :

# A holder that goes away in time is no failure.
hold /dev/mapper/v0 2
vs close v0
[ ! -e /dev/mapper/v0 ]

for action in close remove; do
    run vs $action nope
    expect_code 4
    expect_out ""
    expect_err "Device nope is not active."
done
losetup -d "$data"
losetup -d "$hash"
# Nothing that was refused has changed anything.
cat d h | sha256sum >after
same before after
