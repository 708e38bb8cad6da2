# The kernel as a client of `serve`: a file system on /dev/nbd0 mounts and reads, a bad block is an I/O error for those
# files that are in it, and with parity for none. Nothing stays behind.
# kernels: 6.1 7
# images: squashfs

modprobe nbd nbds_max=1 max_part=0
cp /images/squashfs.img image
vs format image tree --fec-device=parity >made
root=$(root_hash made)
mkdir mounted plain
mount -t squashfs -o ro,loop image plain
socket=$PWD/socket

# serves OPTIONS...: serves the image, and has the kernel connect.
serves() {
    # Not `vs`: a signal has to reach the program itself.
    /bin/veritysetup serve image tree "$root" --socket="$socket" "$@" >events &
    server=$!
    tries=100
    until [ -S "$socket" ]; do
        kill -0 $server
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "no socket appears"
        sleep 0.1
    done
    nbd-client -unix "$socket" /dev/nbd0 -R -b 4096
}

# ends: the kernel disconnects, the server goes.
ends() {
    nbd-client -d /dev/nbd0
    kill $server
    wait $server
    [ ! -e "$socket" ]
}

# same_files: the mounted image has the files of the original.
same_files() {
    (cd plain && find . -type f -exec sha256sum {} +) | sort >expected
    (cd mounted && find . -type f -exec sha256sum {} +) | sort >found
    same expected found
}

serves
same image /dev/nbd0
not dd if=/dev/zero of=/dev/nbd0 bs=4096 count=1 conv=fsync
mount -t squashfs -o ro /dev/nbd0 mounted
same_files
umount mounted
ends

# One bad byte in the second block: what needs it fails, the rest reads.
damage image 5000 1
serves --events-json
dd if=/dev/nbd0 of=/dev/null bs=4096 count=1 iflag=direct
run dd if=/dev/nbd0 of=/dev/null bs=4096 skip=1 count=1 iflag=direct
[ "$code" != 0 ] || fail "a bad block was served"
echo "$err" | grep "Input/output error"
dd if=/dev/nbd0 of=/dev/null bs=4096 skip=2 count=1 iflag=direct
ends
grep '"block":1[,}]' events

# With parity nobody notices.
serves --fec-device=parity
mount -t squashfs -o ro /dev/nbd0 mounted
same_files
umount mounted
ends

umount plain
rmmod nbd
nothing_left
