# The measurement of `make bench-tasklet` works. It reads too little here for meaningful times, so only their order is
# checked.
# long: between
# kernels: 6.1 6.12 7
# files: tests/bench/tasklet.sh
# programs: read-latency
# timeout: 180

rounds=3 reads=5 blocks=64 sh /files/tasklet.sh >out
cat out

# rows COUNT PATTERN: fails unless this many lines match.
rows() {
    [ "$(grep -cxE "$2" out)" = "$1" ] || fail "not $1 lines like $2"
}
rows 6 "=== Linux [^ ]+, .*"
rows 3 "=== .*, without hashing"
rows 6 "reads +15 +15 *"
figures=" +[0-9]+\.[0-9]{2} +[0-9]+\.[0-9]{2} +([0-9]+\.[0-9]{3}|-)"
for name in "mean, us" "p1, us" "p10, us" "p50, us" "p90, us" "p99, us" "p99.9, us" "max, us" "reads per second" \
    "waits of the reader" "context switches" "tasklet softirqs"; do
    rows 6 "$name$figures"
done
rows 6 "tasklets had the lower median in [0-3] of 3 rounds"
# The quantiles never decrease, and none is zero.
awk '/^p1,/ { a = b = 0 } /^(p[0-9.]+|max), us/ { if ($3 <= 0 || $3 < a || $4 < b) exit 1; a = $3; b = $4 }' out

# Without the option kverityd verifies every read; with it, on kernels where it has an effect, another thread verifies
# at least some.
rows 6 "verified in kverityd +64 +[0-9]+"
rows 6 "verified in a softirq +0 +[0-9]+"
rows 6 "verified where it ended +0 +[0-9]+"
case $kernel in
# This kernel has tasklets switched off: it accepts the option and ignores it.
6.1) rows 6 "verified in kverityd +64 +64" ;;
*) rows 0 "verified in kverityd +64 +64" ;;
esac

# refused WORDS ARGUMENTS...: fails unless the reader refuses to start and gives this reason.
refused() {
    words=$1
    shift
    run read-latency "$@"
    expect_code 1
    expect_out ""
    expect_err "read-latency: $words"
}
refused "usage: read-latency CPU ROUNDS READS-IN-A-TURN SEED DEVICE-A DEVICE-B"
refused "x is not a number" 1 x 1 1 out out
refused "there has to be something to read" 1 0 1 1 out out
refused "cannot open nosuch: No such file or directory (os error 2)" 1 1 1 1 nosuch out
