# Deferred removal, which waits for the last user, and its cancellation.
# boots: bare udev

make_image d 64
vs format d h >made
vs open d v0 h "$(root_hash made)"
hold /dev/mapper/v0 1000

run vs close v0 --deferred
expect_code 0
expect_out "Device v0 is still active and scheduled for deferred removal."
expect_err ""
vs status v0 | grep ' is active and is in use'
vs close v0 --cancel-deferred
kill $holder
wait $holder || :
vs status v0 | grep ' is active\.$'
same d /dev/mapper/v0

hold /dev/mapper/v0 1000
vs close v0 --deferred
kill $holder
wait $holder || :
# The kernel and udev do this on their own.
for wait in $(seq 50); do
    run vs status v0
    if [ "$code" != 0 ] && [ ! -L /dev/mapper/v0 ]; then
        break
    fi
    sleep 0.1
done
expect_code 4
expect_out "/dev/mapper/v0 is inactive."
[ ! -e /dev/mapper/v0 ]

# A mapping that is not in use is removed at once.
vs open d v0 h "$(root_hash made)"
run vs close v0 --deferred
expect_code 0
expect_out ""
[ ! -e /dev/mapper/v0 ]
