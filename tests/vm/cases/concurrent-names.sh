# Ten processes open and close ten names a hundred times, forty with udevd, each in a different order. Opening a name
# that is taken and closing one that does not exist fail with exactly these messages; every mapping that was opened is
# closed.
# long: between
# boots: bare udev
# arm64: 6.12-arm64
# timeout: 600

make_image d 16
vs format d h >made
root=$(root_hash made)
rounds=10
[ ! -e /run/udev/control ] || rounds=4
worker() {
    for round in $(seq $rounds); do
        name=v$(((round * $1) % 11))
        code=0
        /bin/veritysetup open d $name h "$root" 2>>errors$1 || code=$?
        echo "open $name $code" >>log$1
        code=0
        # A different name, which in most cases another process has opened.
        name=v$(((round * $1 + $1) % 11))
        /bin/veritysetup close $name 2>>errors$1 || code=$?
        echo "close $name $code" >>log$1
    done
}
for number in $(seq 10); do
    worker $number &
done
wait
cat log* >log
[ "$(wc -l <log)" = $((20 * rounds)) ]
# The name is taken, or there is no such mapping.
not grep -v -e '^open v[0-9]* [05]$' -e '^close v[0-9]* [04]$' log
not grep -v -e '^Device v[0-9]* already exists\.$' -e '^Device v[0-9]* is not active\.$' errors*
for number in $(seq 1 10); do
    opened=$(grep -c "^open v$number 0" log) || :
    closed=$(grep -c "^close v$number 0" log) || :
    case $((opened - closed)) in
    0)
        not vs status v$number
        [ ! -e /dev/mapper/v$number ]
        ;;
    1)
        same d /dev/mapper/v$number
        vs close v$number
        ;;
    *) fail "v$number was opened $opened times and closed $closed times" ;;
    esac
done
