# `--json` of actions that need a kernel: one object each, for what was done, what is active and what was refused. The
# host checks them against the schema.
# long: between
# boots: bare udev

make_image d 64
run vs format d h --salt=724ad0 --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 --json
expect_code 0
expect_object '"action": "format"' '"error": null'
root=$(printf '%s' "$object" | sed 's/.*"root_hash": "\([0-9a-f]*\)".*/\1/')

run vs status v0 --json
expect_code 4
expect_object '"active": false' '"code": 4' '"message": "mapping is inactive"'

run vs open d v0 h "$root" --json
expect_code 0
expect_object '"name": "v0","node": "/dev/mapper/v0","device": "' "4096 4096 64 1 sha256 $root 724ad0" '"dropped": []'
table=$(dmsetup table v0)
expect_object "\"table\": \"${table#0 512 verity }\""
run vs open d v0 h "$root" --json
expect_code 5
expect_object '"code": 5' '"message": "Device v0 already exists."'

run vs status v0 --json
expect_code 0
expect_object '"active": true,"in_use": false,"read_only": true,"type": "VERITY","corrupted": false' \
    "\"file\": \"$PWD/d\"" '"size": 262144' '"hash_offset": 4096' "\"root_hash\": \"$root\"" '"flags": []'
# The same facts as in the text output.
eval "$(vs status v0 --env)"
expect_text "the shell's values" "v0 1 0 1 $root 262144 64 $PWD/d $PWD/h 4096" \
    "$VERITY_NAME $VERITY_ACTIVE $VERITY_IN_USE $VERITY_READ_ONLY $VERITY_ROOT_HASH $VERITY_DATA_BYTES $VERITY_DATA_BLOCKS \
$VERITY_DATA_FILE $VERITY_HASH_FILE $VERITY_HASH_OFFSET"
hold /dev/mapper/v0 30
run vs close v0 --deferred --json
expect_code 0
expect_object '"removal": "scheduled"'
run vs close v0 --cancel-deferred --json
expect_code 0
expect_object '"removal": "cancelled"'
kill "$holder"
wait "$holder" || :
run vs close v0 --json
expect_code 0
expect_object '"removal": "done"'
run vs close v0 --json
expect_code 4
expect_object '"message": "Device v0 is not active."'

# A mapping of another kind.
# Its target is built into device-mapper, so no extra module keeps device-mapper from being unloaded.
dmsetup create other --table "0 8 error"
run vs status other --json
expect_code 1
expect_object '"active": true' '"type": "n/a"' '"message": "mapping is not a verity mapping"'
run vs close other --json
expect_code 4
expect_object '"message": "Device other is not a VERITY device."'
dmsetup remove other

# The object names what the kernel refuses, and its answer.
run vs open d v0 h "$root" --panic-on-corruption --error-as-corruption --json
case $kernel in
5.10 | 6.1)
    expect_code 1
    expect_object '"errno_name": "EINVAL"' '"option": "--error-as-corruption","kernel_option": "panic_on_error"' \
        '"kernel_message": "' 'Unrecognized verity feature request' '"table": "1 7:'
    ;;
*)
    expect_code 0
    expect_object '"error": null' ' 2 panic_on_corruption panic_on_error"'
    vs close v0
    ;;
esac
# A refused hint is not an error.
run vs open d v0 h "$root" --use-tasklets --json
expect_code 0
case $kernel in
5.10)
    expect_object '"dropped": [{"option": "--use-tasklets","kernel_option": "try_verify_in_tasklet"' \
        '"warnings": ["kernel does not support --use-tasklets; the image was opened without it."]'
    ;;
*) expect_object '"dropped": []' '"warnings": []' ;;
esac
vs close v0
run vs open d v0 h "$root" --use-tasklets --no-fallback --json
[ "$kernel" = 5.10 ] || vs close v0
expect_object '"warnings": []'

# The object also reports corruption. With udev, which reads the new mapping, it does so at once.
damage d 4096 1
run vs open d v0 h "$root" --json
expect_code 0
out=$out err=
expect_object '"action": "open"'
not cat /dev/mapper/v0 >/dev/null
run vs status v0 --json
expect_object '"corrupted": true'
vs close v0

run vs features --json
expect_code 0
expect_object '"action": "features"'
nothing_left
