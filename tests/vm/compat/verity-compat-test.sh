# The tests that cryptsetup's source brings for its veritysetup, unmodified, run against ours. They stop at the first
# failure, but skip what does not work in several places and end well: what has to have run is listed here.
# kernels: 6.1
# needs: compat
# processors: 1
# timeout: 1800
#
# Without udevd, which would double the time, and with one processor: emulating a second one costs a third more, and the
# tests do one thing at a time.

set -eu
tests=/compat/verity-compat-test
# Without udevd dmsetup must make the device nodes itself.
[ "$nodes" = udev ] || export DM_DISABLE_UDEV=1

. /vm/leftovers.sh
baseline
rm -rf /tmp/compat /tmp/compat.*
mkdir /tmp/compat
cd /tmp/compat
touch /tmp/compat.calls /tmp/compat.empty /tmp/compat.missing
{
    code=0
    CRYPTSETUP_PATH=/compat BASH_ENV=/compat/missing.bash PATH=/compat/bin:$PATH bash "$tests" || code=$?
    echo "$code" >/tmp/compat.code
} | tee /tmp/compat.out
cd /tmp

set +x
code=$(cat /tmp/compat.code)
complaints=
newline='
'

# wrong WHAT: adds a reason for failing.
wrong() {
    complaints="$complaints  $*$newline"
}

# want NUMBER WHAT PATTERN: adds a reason for failing unless at least this many lines of the tests' output match.
want() {
    found=$(grep -c -E -e "$3" /tmp/compat.out) || :
    printf '  %4d of %-4d %s\n' "$found" "$1" "$2"
    # After a failure the rest is missing in any case.
    [ "$found" -ge "$1" ] || [ "$code" != 0 ] || wrong "$found of $1: $2"
}

# Whether this version of the tests has such a line.
has() {
    grep -q -e "$1" "$tests"
}

# The number of calls, in total and for each action.
calls() {
    awk '
        {
            action = "without an action"
            for (i = 2; i <= NF; i++) if ($i ~ /^(format|verify|open|create|close|status|dump)$/) { action = $i; break }
            count[action]++
        }
        END {
            printf "%d", NR
            for (action in count) { printf "%s%s %d", separator ? separator : " (", action, count[action]; separator = ", " }
            print separator ? ")" : ""
        }
    ' /tmp/compat.calls
}

echo
echo "$(cat /compat/package), Linux $(uname -r), $nodes: ended with exit code $code"
echo "What has passed, and how often at least:"
want 1 "a wrong root hash" '^Root hash check \[OK\]$'
steps='\[root hash\]\[verify\]\[activate\]\[in-kernel verify\]'
want 112 "format, verify, open, read; then the same with corrupted data or hashes" \
    "^V[01]\\(sb=(yes|no) root_hash_as_file=(yes|no)\\) sha(1|256) block size [0-9]+: $steps\\[(data|hash)_dev corruption\\]\$"
for option in ignore-corruption restart-on-corruption ignore-zero-blocks check-at-most-once panic-on-corruption use-tasklets; do
    want 1 "open --$option" "^Option --$option .*\\[OK\\]\$"
done
case $kernel in
5.10 | 6.1) ;;
*) ! has --error-as-corruption || want 2 "open --error-as-corruption" '^Option --error-as-corruption .*\[OK\]$' ;;
esac
want 2 "hash offsets above 2 GiB" '^Size :: .*\[OK\]$'
want 5 "overlapping areas" '^Device-size :: .*\[OK\]$'
want 36 "FEC: repaired in the kernel" '\[repaired in kernel\]\[userspace verify\]\[OK\]$'
want 4 "FEC: beyond repair" '\[kernel correction failed\]\[userspace verify failed\]\[OK\]$'
want 6 "FEC: repaired in userspace" '\[Errors can be corrected\]\[OK\]\[Errors cannot be corrected\]\[OK\]$'
want 1 "two calls that open the same" '^Verity concurrent opening tests:\[OK\]$'
want 1 "deferred removal" '^Deferred removal of device:\[OK\]$'
! has 'Early check for active name' || want 1 "names that are refused" '^Early check for active name:\[OK\]$'

echo "Calls of veritysetup:"
echo "  $(calls)"
# See tests/vm/compat/veritysetup: one call at most.
echo "Hash files that a refused format was to leave behind, empty: $(wc -l </tmp/compat.empty)"
[ "$(wc -l </tmp/compat.empty)" -le 1 ] || wrong "empty hash files were made for: $(cat /tmp/compat.empty)"

echo "Skipped by the tests themselves:"
skipped=$(grep -i -e 'N/A' -e skipped /tmp/compat.out) || :
[ -z "$skipped" ] || wrong "something was skipped: $skipped"
case $kernel in
5.10 | 6.1) ! has --error-as-corruption || skipped="${skipped:+$skipped$newline}open --error-as-corruption, because the kernel is older than 6.12" ;;
esac
echo "${skipped:-nothing}" | sed 's/^/  /'

# Without udevd there is no udevadm, which the tests do not mind.
missing=$(sort -u /tmp/compat.missing | if [ "$nodes" = udev ]; then cat; else grep -vx udevadm; fi) || :
[ -z "$missing" ] || wrong "not in the machine:" $missing
left=$(left_behind)
[ -z "$left" ] || wrong "left behind: $left"
calls=$(wc -l </tmp/compat.calls)
[ "$calls" -ge 1000 ] || [ "$code" != 0 ] || wrong "only $calls calls of veritysetup"
[ "$code" = 0 ] || wrong "the tests ended with exit code $code; the last calls, each with its exit code:
$(tail -n 5 /tmp/compat.calls)"
if [ -n "$complaints" ]; then
    echo "FAILED:"
    printf '%s' "$complaints"
    exit 1
fi
echo PASSED
