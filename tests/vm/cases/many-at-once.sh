# Ten processes repeatedly open and close an image each: none takes another's loop device, and nothing is left.
# long: between
# boots: bare udev
# timeout: 300

count=10
for number in $(seq $count); do
    make_image d$number $((number * 10))
    vs format d$number h$number >made$number
done
worker() {
    root=$(root_hash made$1)
    for round in 1 2 3; do
        vs open d$1 v$1 h$1 "$root"
        cmp d$1 /dev/mapper/v$1
        vs close v$1
    done
    : >done$1
}
for number in $(seq $count); do
    worker $number &
done
wait
for number in $(seq $count); do
    [ -e done$number ] || fail "worker $number did not finish"
done
