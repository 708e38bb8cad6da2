# What the cases `clients` do: programs of Debian that open verity images through libcryptsetup, on Debian's library and
# on ours.

. /vm/debian.sh
enter_debian
trap leave_debian EXIT

# Images, made once: with a superblock, without, with parity, with a signature, and one that is damaged.
salt=ab12
uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71
make_signed_image
cp d $tree/tmp/signed.data
cp h $tree/tmp/signed.hash
cp /signatures/good $tree/tmp/signed.p7s
cp /signatures/untrusted $tree/tmp/untrusted.p7s
signed=$root
cp /images/squashfs.img $tree/tmp/data
cd $tree/tmp
blocks=$(($(stat -c %s data) / 4096))
truncate -s $((blocks * 4096)) data
root=$(vs format data hash --salt=$salt --uuid=$uuid | root_hash)
vs format data bare --salt=$salt --no-superblock
vs format data hash.fec --salt=$salt --uuid=$uuid --fec-device=fec --fec-roots=2
cp data damaged
damage damaged 8192 100
wrong=$(printf %064d 7)
# Disk images with partitions for data and hash tree.
mkdir image
printf '[Partition]\nType=root\nVerity=data\nVerityMatchKey=root\nCopyBlocks=auto\n' >image/1.conf
printf '[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\n' >image/2.conf
for kind in squashfs extension; do
    sed -i "s|^CopyBlocks=.*|CopyBlocks=/tmp/$kind.img|" image/1.conf
    cp /images/$kind.img .
    debian systemd-repart --offline=yes --empty=create --size=auto --seed=$uuid --definitions=/tmp/image --dry-run=no \
        --json=short /tmp/$kind.raw | sed -n 's/.*"roothash":"\([0-9a-f]*\)".*/\1/p' >$kind.roothash
done
mkdir -p $tree/var/lib/extensions
mv extension.raw extension.roothash $tree/var/lib/extensions
partitions=$(cat squashfs.roothash)
rm squashfs.roothash
# Release 262 of systemd-veritysetup opens an image without the signature if the kernel does not trust it.
untrusted=1
[ "$kernel" = 6.12 ] || untrusted=0
mkdir -p $tree/mnt/one $tree/mnt/two
cd /

# Removes what shows how often, and when, a device was made.
alike() {
    sed -E -e 's/loop[0-9]+p?[0-9]*-[0-9]+-verity/loop-verity/g' -e 's/[A-Z][a-z]{2} [-0-9]+ [0-9:]+ UTC/now/'
}

# A sed script that puts the files in place of their loop devices, which may be in another order.
loops() {
    for file in /sys/block/loop*/loop/backing_file; do
        [ -e "$file" ] || continue
        number=$(echo "$file" | tr -cd 0-9)
        name=$(sed "s|^$tree||" "$file")
        echo "s#/dev/loop$number\\b#$name#g; s#\\b7:$((number))\\b#$name#g"
    done
}

# step CODE COMMAND...: runs the command in the tree, and writes to the transcript its exit code, which must be CODE,
# its texts, and the mappings and loop devices that exist afterwards.
step() {
    wanted=$1
    shift
    echo "\$ $*"
    code=0
    debian "$@" >/tmp/.text 2>&1 || code=$?
    debian udevadm settle
    loops >/tmp/.loops
    {
        cat /tmp/.text
        echo "exit code $code$([ "$code" = "$wanted" ] || echo ", wanted: $wanted")"
        dmsetup table --noflush | sort
        dmsetup info -c --noheadings -o name,uuid,attr,open | sort
        debian losetup --list --noheadings --output NAME,AUTOCLEAR,OFFSET,SIZELIMIT | sed -f /tmp/.loops | sort
    } | sed -f /tmp/.loops
    echo
}

# The steps, on the library in $library.
steps() {
    for options in "" --ignore-corruption --restart-on-corruption --panic-on-corruption --ignore-zero-blocks \
        --check-at-most-once --use-tasklets --shared; do
        step 0 veritysetup open /tmp/data v /tmp/hash "$root" $options
        step 0 veritysetup close v
    done
    step 0 veritysetup open /tmp/data v /tmp/hash "$root"
    step 5 veritysetup open /tmp/data v /tmp/hash "$root"
    step 0 veritysetup status v
    step 0 cmp /tmp/data /dev/mapper/v
    step 0 veritysetup close v
    step 4 veritysetup close v
    step 4 veritysetup status v
    step 0 veritysetup open /tmp/data v /tmp/hash "$wrong"
    step 0 veritysetup close v
    step 4 veritysetup open /tmp/missing v /tmp/hash "$root"
    step 1 veritysetup open /tmp/data v /tmp/data "$root"
    step 0 veritysetup open /tmp/damaged v /tmp/hash "$root"
    step 0 veritysetup close v
    step 0 veritysetup open /tmp/damaged v /tmp/hash.fec "$root" --fec-device=/tmp/fec --fec-roots=2
    step 0 cmp /tmp/data /dev/mapper/v
    step 0 veritysetup status v
    step 0 veritysetup close v
    step 0 veritysetup open /tmp/data v /tmp/bare "$root" --no-superblock --salt=$salt --data-blocks="$blocks"
    step 0 veritysetup status v
    step 0 veritysetup close v --deferred
    step 0 veritysetup open /tmp/signed.data v /tmp/signed.hash "$signed" --root-hash-signature=/tmp/signed.p7s
    step 0 veritysetup status v
    step 0 veritysetup close v
    step 1 veritysetup open /tmp/signed.data v /tmp/signed.hash "$signed" --root-hash-signature=/tmp/untrusted.p7s

    attach=/usr/lib/systemd/systemd-veritysetup
    step 0 $attach attach v /tmp/data /tmp/hash "$root"
    step 0 $attach attach v /tmp/data /tmp/hash "$root"
    step 0 $attach detach v
    step 0 $attach detach v
    step 0 $attach attach v /tmp/data /tmp/hash "$root" ignore-zero-blocks,check-at-most-once,panic-on-corruption
    step 0 $attach detach v
    step 0 $attach attach v /tmp/data /tmp/bare "$root" \
        superblock=no,format=1,data-block-size=4096,hash-block-size=4096,data-blocks="$blocks",hash=sha256,salt=$salt
    step 0 $attach detach v
    step 0 $attach attach v /tmp/damaged /tmp/hash.fec "$root" fec-device=/tmp/fec,fec-roots=2
    step 0 cmp /tmp/data /dev/mapper/v
    step 0 $attach detach v
    step 0 $attach attach v /tmp/signed.data /tmp/signed.hash "$signed" root-hash-signature=/tmp/signed.p7s
    step 0 $attach detach v
    step "$untrusted" $attach attach v /tmp/signed.data /tmp/signed.hash "$signed" \
        root-hash-signature=/tmp/untrusted.p7s
    step 0 $attach detach v
    step 0 $attach attach v /tmp/data /tmp/hash "$wrong"
    step 0 $attach detach v
    step 1 $attach attach v /tmp/data /tmp/data "$root"

    verity="verity.hashdevice=/tmp/hash,verity.roothash=$root"
    step 0 mount -o "$verity" /tmp/data /mnt/one
    step 0 mount -o "$verity" /tmp/data /mnt/two
    step 0 cat /mnt/one/hello /mnt/two/hello
    step 0 umount /mnt/one
    step 0 umount /mnt/two
    step 32 mount -o "verity.hashdevice=/tmp/hash,verity.roothash=$wrong" /tmp/data /mnt/one
    step 0 mount -o "verity.hashdevice=/tmp/hash.fec,verity.roothash=$root,verity.fecdevice=/tmp/fec,verity.fecroots=2" \
        /tmp/data /mnt/one
    step 0 umount /mnt/one
    step 32 mount -o "verity.hashdevice=/tmp/signed.hash,verity.roothash=$signed,verity.roothashsig=/tmp/signed.p7s" \
        /tmp/signed.data /mnt/one

    step 0 systemd-dissect --root-hash="$partitions" --mount /tmp/squashfs.raw /mnt/one
    step 0 systemd-dissect --root-hash="$partitions" --mount /tmp/squashfs.raw /mnt/two
    step 0 cat /mnt/one/hello /mnt/two/hello
    step 0 systemd-dissect --umount /mnt/one
    step 0 systemd-dissect --umount /mnt/two

    step 0 systemd-sysext merge
    step 0 cat /usr/share/greeting
    step 0 systemd-sysext status
    step 0 systemd-sysext unmerge
}

set +x
library=
steps | alike >theirs
library=/ours
steps | alike >ours
cat ours
# Our library says which part of a request the kernel refuses.
sed -i 's/^device-mapper: reload ioctl .* Required key not available$/Root hash signature is not trusted by the kernel./' theirs

# The probe's calls, in one form for all releases: a line of a dump is a line, and what libdevmapper says on its own is
# left out.
for library in /usr/lib/x86_64-linux-gnu /ours; do
    rm -rf $tree/tmp/probe
    mkdir $tree/tmp/probe
    cp /files/mappings $tree/tmp/probe
    dmsetup create other --table "0 8 zero"
    debian sh -c "cd /tmp/probe && ./mappings $library/libcryptsetup.so.12" |
        sed -E -e 's#/dev/loop[0-9]+#/dev/loop#g' -e '/log 1 "device-mapper: /d' -e 's/ \[bytes\]//; s/loop\./loop/' |
        awk '/log 0 ".*\\n"$/ { print open substr($0, open ? 10 : 1); open = ""; next }
            /log 0 "/ { open = open substr($0, open ? 10 : 1, length($0) - (open ? 10 : 1)); next }
            { print }' >"probe${library##*/}"
    dmsetup remove other || :
done
diff -u probex86_64-linux-gnu probeours | grep -e '^[-+] ' >differences || :
sed '/^#/d' /files/mappings.diff >expected

# Threads that open and close at once.
cp /files/threads $tree/tmp
library=/ours
debian sh -c "cd /tmp && ./threads mappings"

not grep -B 9 wanted ours
[ "$(grep -c '^\$' ours)" -gt 60 ] || fail "too few steps: $(cat ours)"
expect_text "what is said and made on our library" "$(cat theirs)" "$(cat ours)"
expect_text "the difference of what the calls return" "$(cat expected)" "$(cat differences)"

set -x
. /vm/images.sh
