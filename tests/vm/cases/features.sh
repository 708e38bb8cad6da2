# `features` says what this kernel supports, as text and as JSON, and leaves nothing behind.
# files: tests/vm/expected/features-5.10.txt tests/vm/expected/features-6.1.txt tests/vm/expected/features-6.12.txt tests/vm/expected/features-7.txt tests/vm/expected/features-5.10.json tests/vm/expected/features-6.1.json tests/vm/expected/features-6.12.json tests/vm/expected/features-7.json
# boots: bare udev

run vs features
expect_code 0
expect_err ""
expect_text "the text" "$(cat "/files/features-$kernel.txt")" "$out"
nothing_left
run vs features --json
expect_code 0
expect_err ""
expect_text "the JSON" "$(cat "/files/features-$kernel.json")" "$out"
nothing_left

# The result is the same if the kernel's log cannot be read.
mv /dev/kmsg /dev/kmsg.away
trap 'mv /dev/kmsg.away /dev/kmsg' EXIT
vs features | sed 's/^\(  kernel log readable: *\)no$/\1yes/' >found
same "/files/features-$kernel.txt" found
