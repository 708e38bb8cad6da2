# A functional test: what succeeds, what fails, and with which code and message.
set -u
veritysetup format rootfs.img hash.img --salt=aa --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 >format.log || exit 9
root=$(sed -n 's/^Root hash:[[:space:]]*//p' format.log)
wrong=$(echo "$root" | sed 's/^./0/; s/^0\(.\)/1\1/')
try() {
    code=0
    veritysetup "$@" >out 2>err || code=$?
    echo "$code $(grep -v '^hint: ' err | tail -n 1 | sed 's/^[^ ]*veritysetup: //') <- $*"
}
try verify rootfs.img hash.img "$root"
try verify rootfs.img hash.img "$root" -v
grep -q '^Command successful\.$' out || exit 8
try verify missing.img hash.img "$root"
try dump missing.img
try dump rootfs.img
try format rootfs.img
try format rootfs.img hash.img --hash=nosuch
try format rootfs.img hash.img --salt=xyz
try format rootfs.img hash.img --data-block-size=1000
try verify rootfs.img hash.img xyz
try verify rootfs.img hash.img
try close ../nosuch
try status ../nosuch
grep -q ' is inactive\.$' out || exit 7
try --nosuch
try bogus
printf x | dd of=rootfs.img bs=1 seek=9000 conv=notrunc 2>/dev/null
try verify rootfs.img hash.img "$root"
if veritysetup verify rootfs.img hash.img "$root" 2>/dev/null; then exit 6; fi
echo "$wrong" | grep -q '^[0-9a-f]\{64\}$'
