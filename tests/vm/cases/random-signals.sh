# Signals at random moments of open, close and features, and of format onto devices: the same command succeeds when it
# is run again, and nothing is left.
# long: between
# kernels: 6.1 7
# timeout: 600

make_image d 64
vs format d h --salt=aa --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 >made
root=$(root_hash made)
set +x
state=12345
# random MOST: sets $drawn to a pseudo-random number below MOST; the sequence is the same in each run.
random() {
    state=$(((state * 1103515245 + 12345) % 2147483648))
    drawn=$(((state / 65536) % $1))
}
# struck COMMAND...: runs the command, sends it a signal at a random moment, and sets $signal.
struck() {
    random 4
    signal=$(echo TERM INT HUP KILL | cut -d ' ' -f $((drawn + 1)))
    random 100
    # Not the function `vs`: the signal must reach the program.
    /bin/veritysetup "$@" >/dev/null 2>&1 &
    struck=$!
    usleep $((drawn * 1500))
    # The program may have ended already.
    kill -$signal $struck 2>/dev/null || :
    wait $struck 2>/dev/null || :
}
for round in $(seq 6); do
    struck open d v0 h "$root"
    # A killed process may leave a mapping without a table, which can be closed. Everything else is complete or absent.
    vs close v0 >/dev/null 2>&1 || :
    vs open d v0 h "$root"
    same d /dev/mapper/v0

    struck close v0
    vs close v0 >/dev/null 2>&1 || :
    not dmsetup info v0 >/dev/null 2>&1
    # A killed close may leave the node, which the next mapping of that name removes.
    [ ! -e /dev/mapper/v0 ] || [ "$signal" = KILL ] || fail "round $round: a node is left after $signal"
    vs open d v0 h "$root"
    vs close v0

    nothing_left
done
for round in 1 2 3; do
    struck features
    # The next trial removes the scratch mapping of a killed command.
    [ "$signal" != KILL ] || vs features >/dev/null
    [ "$(dmsetup ls)" = "No devices found" ] || fail "round $round: a scratch mapping is left after $signal"
done

# Formatting a device that has an older image.
cp h older
vs format d other --salt=bb --hash=sha512 --root-hash-file=root >/dev/null
hash=$(attach h)
for round in $(seq 6); do
    struck format d "$hash" --salt=bb --hash=sha512
    if vs dump "$hash" >/dev/null 2>&1; then
        cmp -s older "$hash" || vs verify d "$hash" "$(cat root)"
    fi
    vs format d "$hash" --salt=bb --hash=sha512 >/dev/null
    vs verify d "$hash" "$(cat root)"
    cat older >"$hash"
done
losetup -d "$hash"
nothing_left
