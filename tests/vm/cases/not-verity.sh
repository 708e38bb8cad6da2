# Mappings of another kind are shown as such and not touched.
# boots: bare udev

make_image d 64
data=$(attach d)
dmsetup create lin --table "0 512 linear $data 0"
run vs status lin
expect_code 1
expect_out "/dev/mapper/lin is active.
  type:        n/a"
expect_err ""
for options in "" --deferred --cancel-deferred; do
    # shellcheck disable=SC2086 # no option is no argument
    run vs close lin $options
    expect_code 4
    expect_out ""
    expect_err "Device lin is not a VERITY device."
done
dmsetup info lin
run vs open d lin h 00
expect_code 4
dmsetup remove lin
# A mapping without a table is not a verity mapping either.
dmsetup create --notable empty
run vs status empty
expect_code 1
run vs close empty
expect_code 4
dmsetup remove empty
losetup -d "$data"
