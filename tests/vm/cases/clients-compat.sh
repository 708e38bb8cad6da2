# cryptsetup's own tests of its veritysetup, unmodified, with Debian's veritysetup on our C library.
# kernels: 7
# debian: sid
# needs: compat
# long: everywhere
# processors: 1
# timeout: 2400

. /vm/debian.sh
enter_debian
trap leave_debian EXIT
mkdir $tree/tmp/tests
cp /compat/verity-compat-test $tree/tmp/tests
library=/ours
code=0
debian sh -c 'cd /tmp/tests && CRYPTSETUP_PATH=/usr/sbin bash ./verity-compat-test' >out 2>&1 || code=$?
cat out
[ "$code" = 0 ] || fail "the tests ended with exit code $code"
[ "$(grep -c 'OK\]' out)" -ge 60 ] || fail "too few tests have run"
not grep -i -e 'N/A' -e skipped out
