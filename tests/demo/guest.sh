# The part of the demo that runs on a real kernel.
set -eu

show() {
    echo
    echo "# $*"
    "$@"
}

show uname -sr
show veritysetup open data.img demo hash.img --root-hash-file=root-hash
show veritysetup status demo
mkdir -p mnt
show mount -t squashfs -o ro /dev/mapper/demo mnt
show ls -l mnt
show head -n 3 mnt/LICENSE-MIT
# The sums were made from the files that went into the image.
show sh -c 'cd mnt && sha256sum -c ../sums >/tmp/checked && wc -l </tmp/checked && tail -n 2 /tmp/checked'
show umount mnt
show cmp data.img /dev/mapper/demo
show veritysetup close demo

echo
echo "=== The tampered copy: it opens, because blocks are checked when they are read ..."
show veritysetup open tampered.img demo hash.img --root-hash-file=root-hash
echo
echo "=== ... and reading the block that was changed fails"
if show dd if=/dev/mapper/demo of=/dev/null bs=4096 skip=4 count=1; then
    echo "a tampered block was read" >&2
    exit 1
fi
show veritysetup status demo
show veritysetup close demo

echo
echo "=== ... unless the kernel corrects it with the parity"
show veritysetup open tampered.img demo hash.img --fec-device=fec.img --root-hash-file=root-hash
show cmp data.img /dev/mapper/demo
show veritysetup close demo
