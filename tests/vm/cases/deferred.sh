# Removal that waits for the last user, and taking that back.
# boots: bare udev

make_image d 64
vs format d h >made
vs open d v0 h "$(sed -n 's/^Root hash:[[:space:]]*//p' made)"
sleep 1000 </dev/mapper/v0 &
holder=$!

run vs close v0 --deferred
expect_code 0
expect_out "Device v0 is still active and scheduled for deferred removal."
expect_err ""
vs status v0 | grep ' is active and is in use'
vs close v0 --cancel-deferred
kill $holder
wait $holder || :
vs status v0 | grep ' is active\.$'
[ -e /dev/mapper/v0 ]

sleep 1000 </dev/mapper/v0 &
holder=$!
vs close v0 --deferred
kill $holder
wait $holder || :
for wait in $(seq 50); do
    run vs status v0
    [ "$code" = 0 ] || break
    sleep 0.1
done
expect_out "/dev/mapper/v0 is inactive."
# Without udev the kernel has nobody to take the node away; it leads nowhere, and the next open replaces it.
[ "$nodes" = udev ] || rm -f /dev/mapper/v0

# Nobody uses it: it goes at once.
vs open d v0 h "$(sed -n 's/^Root hash:[[:space:]]*//p' made)"
run vs close v0 --deferred
expect_code 0
expect_out ""
[ ! -e /dev/mapper/v0 ]
