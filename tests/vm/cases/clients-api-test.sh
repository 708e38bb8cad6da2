# The verity part of cryptsetup's own test of its library, api-test, on ours.
# kernels: 7
# debian: sid
# needs: api-test
# long: everywhere
# processors: 1

. /vm/debian.sh
enter_debian
trap leave_debian EXIT
mkdir $tree/tmp/tests
cp /compat/api-test /compat/compatimage.img.xz $tree/tmp/tests
library=/ours
debian sh -c 'cd /tmp/tests && ./api-test --verbose' | tee out
grep VerityTest out
not grep -e '^FAIL' -e WARNING out
