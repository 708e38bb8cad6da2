# A file system without enough free space: the command says so and removes the files it created.
# images: ext4
# long: between
# kernels: 6.12

cp /images/ext4.img disk
loop=$(attach disk)
mkdir small
mount -t ext4 "$loop" small
make_image d 300
make_image small/i 300
salt="--salt=aa --uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71"
vs format d h --fec-device=f $salt >made
dd if=/dev/zero of=small/fill bs=4096 2>/dev/null || :
sync
same d small/i

failures=0
appended=no
for step in $(seq 60); do
    # The file system grows by one block each time.
    size=$(stat -c %s small/fill)
    [ "$size" -gt 4096 ] || break
    truncate -s $((size - 4096)) small/fill
    sync
    run vs format d small/h --fec-device=small/f $salt
    if [ "$code" = 0 ]; then
        cmp h small/h
        cmp f small/f
        break
    fi
    failures=$((failures + 1))
    expect_code 1
    expect_out ""
    case $err in *"No space left on device"*) ;; *) fail "no reason in $err" ;; esac
    [ ! -e small/h ]
    [ ! -e small/f ]

    # Less space is enough for this.
    run vs format --append small/i
    if [ "$code" = 0 ]; then
        cmp -n 1228800 d small/i
        truncate -s 1228800 small/i
        appended=yes
    else
        expect_code 1
        case $err in *"No space left on device"*) ;; *) fail "no reason in $err" ;; esac
    fi
    same d small/i
    code=1
done
expect_code 0
[ "$appended" = yes ]
[ $failures -gt 2 ]
same d small/i
umount small
losetup -d "$loop"
nothing_left
