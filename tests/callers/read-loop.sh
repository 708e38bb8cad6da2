# Without any other program: the shell's own read takes the lines apart.
set -eu
veritysetup format rootfs.img hash.img --salt=aa --hash=sha512 --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71 \
    --fec-device=fec.img --fec-roots=4 >log
while IFS=':' read -r key value; do
    # The value after the shell's word splitting.
    # shellcheck disable=SC2086
    set -- $value
    case $key in
    'Root hash') root=$1 ;;
    'Salt') salt=$1 ;;
    'Hash algorithm') algorithm=$1 ;;
    'FEC RS roots') roots=$1 ;;
    'FEC blocks') parity=$1 ;;
    'Data blocks') blocks=$1 ;;
    esac
done <log
[ ${#root} -eq 128 ]
echo "$root $salt $algorithm $roots $parity $blocks"
veritysetup verify rootfs.img hash.img "$root" --fec-device=fec.img --fec-roots="$roots"
