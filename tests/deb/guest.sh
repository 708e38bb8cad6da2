#!/bin/sh
# Runs in a fresh Debian system: ours and the distribution's package are installed, upgraded and removed in every order.
set -eu

cd /packages
mkdir work
link=/usr/sbin/veritysetup
ours=dmverity-tools
theirs=cryptsetup-bin

fail() {
    echo "FAILED: $*" >&2
    for log in work/*.out; do sed "s|^|${log##*/}: |" "$log"; done | tail -n 30 >&2
    ls -l /usr/sbin/veritysetup* /usr/share/man/man8/veritysetup* >&2 || :
    exit 1
}

say() {
    echo "--- $*"
}

# Runs dpkg. A warning is a failure, unless it is expected.
package() { # ARGUMENT...
    echo "    dpkg $*"
    dpkg "$@" >work/dpkg.out 2>&1 || fail "dpkg $*"
    if grep -i -E 'warning|error' work/dpkg.out | grep -v -E "${expected_warning:-^$}" >work/warnings.out; then
        fail "dpkg $* warns: $(cat work/warnings.out)"
    fi
}

# Every file with its type, mode, owner, target and content, and dpkg's records. The databases of dpkg and man are left
# out; their tools are asked instead.
snapshot() { # NAME
    {
        find / -xdev \( -path /packages -o -path /var/cache/man -o -path /var/lib/dpkg/triggers -o -path /tmp -o -path /run \) -prune -o \
            ! -path '/var/log/*.log' \
            ! -path '/var/lib/dpkg/status*' ! -path '/var/lib/dpkg/diversions*' ! -path '/var/lib/dpkg/lock*' \
            ! -path '/var/lib/dpkg/available*' \
            -printf '%p %y %m %U:%G %l\n' \( ! -type f -o -exec sha256sum {} + \)
        dpkg-divert --list | sed 's/^/diversion: /'
        update-alternatives --get-selections | sed 's/^/alternative: /'
        dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n' | sed 's/^/package: /'
        sed 's/^/trigger: /' /var/lib/dpkg/triggers/File
        dpkg --verify | sed 's/^/changed: /'
    } | LC_ALL=C sort >"work/$1.snapshot"
}

# Compares the system with a snapshot. Lines that match the pattern may differ.
same_as() { # NAME [PATTERN]
    snapshot now
    if diff "work/$1.snapshot" work/now.snapshot | grep '^[<>]' | grep -v -E "${2:-^$}" >work/difference.out; then
        fail "the system is not as it was ($1): $(cat work/difference.out)"
    fi
}

# The files that dpkg keeps of a package until it is purged.
kept='/var/lib/dpkg/info/dmverity-tools\.(list|postrm)( |$)|package: dmverity-tools .* rc '

# Removes ours, checks the remains, and purges it.
gone_leaves() { # SNAPSHOT
    package --remove $ours
    same_as "$1" "$kept"
    package --purge $ours
    same_as "$1"
}

# `veritysetup` is ours, by its bytes, its answers and its manual.
is_ours() {
    [ "$(readlink -f $link)" = /usr/lib/dmverity-tools/veritysetup ] || fail "$link is $(readlink -f $link)"
    cmp -s /sbin/veritysetup /usr/lib/dmverity-tools/veritysetup || fail "/sbin/veritysetup is another one"
    [ "$(readlink -f "$(man -w veritysetup)")" = /usr/share/man/man8/veritysetup.dmverity.8.gz ] ||
        fail "the manual is $(man -w veritysetup)"
    [ "$(veritysetup --version)" = "$(/usr/lib/dmverity-tools/veritysetup --version)" ] || fail "another --version"
    veritysetup --help | grep -q -- --threads || fail "--help is not ours"
    works
}

# `veritysetup` is the distribution's file, which is byte for byte the package's.
is_theirs() { # PACKAGE_FILE
    rm -rf work/theirs
    dpkg-deb -x "$1" work/theirs
    cmp $link work/theirs/*sbin/veritysetup 2>/dev/null || cmp $link work/theirs/usr/sbin/veritysetup ||
        fail "$link is not that of $1"
    cmp "$(man -w veritysetup)" work/theirs/usr/share/man/man8/veritysetup.8.gz || fail "the manual is not that of $1"
    [ "$(dpkg --verify $theirs)" = "" ] || fail "$theirs is not whole: $(dpkg --verify $theirs)"
    if veritysetup --help | grep -q -- --threads; then fail "--help is ours"; fi
    works
}

# Makes and checks an image.
works() {
    yes | head -c 1003520 >work/data
    rm -f work/hash
    root_hash=$(veritysetup format work/data work/hash | sed -n 's/^Root hash:[[:space:]]*//p')
    veritysetup verify work/data work/hash "$root_hash" || fail "verify"
    printf 'x' | dd of=work/data bs=1 seek=5000 conv=notrunc status=none
    if veritysetup verify work/data work/hash "$root_hash" >/dev/null 2>&1; then fail "a tampered image is verified"; fi
}

# The choices that update-alternatives has.
choices() { # NUMBER
    [ "$(update-alternatives --list veritysetup | wc -l)" = "$1" ] ||
        fail "not $1 choices: $(update-alternatives --list veritysetup)"
}

distribution() { # prints the path of its command
    update-alternatives --list veritysetup | grep -v dmverity-tools
}

# The same package with a higher version, a byte more in the command and the folder of the command another if wanted.
newer() { # PACKAGE_FILE OUTPUT [move]
    rm -rf work/newer
    dpkg-deb -R "$1" work/newer
    sed -i 's/^\(Version: .*\)$/\1+newer/' work/newer/DEBIAN/control
    if [ "${3:-}" = move ]; then
        if [ -d work/newer/sbin ]; then
            mkdir -p work/newer/usr
            mv work/newer/sbin work/newer/usr/sbin
        else
            mv work/newer/usr/sbin work/newer/sbin
        fi
    fi
    (
        cd work/newer
        for file in sbin/veritysetup usr/sbin/veritysetup usr/lib/dmverity-tools/veritysetup \
            usr/lib/dmverity/libcryptsetup.so.12; do
            if [ -f $file ]; then echo >>$file; fi
        done
        find . -path ./DEBIAN -prune -o -type f -print | sed 's|^\./||' | xargs md5sum >DEBIAN/md5sums
    )
    dpkg-deb --build --root-owner-group work/newer "$2" >/dev/null
}

their_deb=$(ls cryptsetup-bin_*.deb)
newer "$their_deb" work/newer-theirs.deb
newer "$their_deb" work/moved-theirs.deb move
newer dmverity-tools.deb work/newer-ours.deb
newer library.deb work/newer-library.deb

say "the distribution's alone, which is what has to be there again later"
snapshot before
for state in "$their_deb" work/newer-theirs.deb work/moved-theirs.deb; do
    package --install "$state"
    is_theirs "$state"
    snapshot "$(basename "$state")"
    package --purge $theirs
    same_as before
done

say "ours alone"
package --install dmverity-tools.deb
grep -q 'Processing triggers for initramfs-tools' work/dpkg.out || fail "the initramfs is not made again"
is_ours
choices 1
package --install dmverity-tools.deb
is_ours
package --remove $ours
grep -q 'Processing triggers for initramfs-tools' work/dpkg.out || fail "the initramfs is not made again"
same_as before "$kept"
package --install dmverity-tools.deb
is_ours
gone_leaves before
package --install dmverity-tools.deb
package --purge $ours
same_as before

say "ours first; theirs is installed, chosen, upgraded; ours goes"
package --install dmverity-tools.deb
package --install "$their_deb"
is_ours
choices 2
update-alternatives --quiet --set veritysetup "$(distribution)"
is_theirs "$their_deb"
package --install work/newer-theirs.deb
is_theirs work/newer-theirs.deb
update-alternatives --quiet --auto veritysetup
is_ours
gone_leaves newer-theirs.deb
is_theirs work/newer-theirs.deb
package --purge $theirs
same_as before

say "theirs first; ours is installed, theirs chosen, ours upgraded; ours goes"
package --install "$their_deb"
package --install dmverity-tools.deb
is_ours
choices 2
update-alternatives --quiet --set veritysetup "$(distribution)"
package --install work/newer-ours.deb
is_theirs "$their_deb"
update-alternatives --quiet --set veritysetup /usr/lib/dmverity-tools/veritysetup
is_ours
gone_leaves "$their_deb"
is_theirs "$their_deb"
package --purge $theirs
same_as before

say "theirs moves between /sbin and /usr/sbin in an upgrade: whoever chose it keeps it, and ours goes"
package --install "$their_deb"
package --install dmverity-tools.deb
expected_warning='removing from list of alternatives|/sbin/veritysetup\.distrib' package --install work/moved-theirs.deb
is_ours
choices 2
expected_warning='downgrading|removing from list of alternatives|/sbin/veritysetup\.distrib' package --install "$their_deb"
is_ours
choices 2
update-alternatives --quiet --set veritysetup "$(distribution)"
expected_warning='removing from list of alternatives|/sbin/veritysetup\.distrib' package --install work/moved-theirs.deb
is_theirs work/moved-theirs.deb
choices 2
gone_leaves moved-theirs.deb
is_theirs work/moved-theirs.deb
package --purge $theirs
same_as before

say "theirs goes, chosen or not, and ours stays"
for choice in auto chosen; do
    package --install "$their_deb"
    package --install dmverity-tools.deb
    [ $choice = auto ] || update-alternatives --quiet --set veritysetup "$(distribution)"
    expected_warning='removing from list of alternatives|setting .* to auto|/sbin/veritysetup\.distrib' package --purge $theirs
    is_ours
    choices 1
    gone_leaves before
done

say "both come and go at once, in both orders"
for order in "dmverity-tools.deb $their_deb" "$their_deb dmverity-tools.deb"; do
    # shellcheck disable=SC2086 # two packages
    package --install $order
    is_ours
    choices 2
    package --purge $ours $theirs
    same_as before
    # shellcheck disable=SC2086
    package --install $order
    package --purge $theirs $ours
    same_as before
done
# What the distribution's command loads.
loads() { # LIBRARY
    found=$(ldd "$(readlink -f $link)" | sed -n 's/.*libcryptsetup\.so\.12 => \([^ ]*\) .*/\1/p')
    [ "$found" = "$1" ] || fail "$link loads $found, not $1"
}

say "the C library alone and beside theirs: in a directory of its own, used by who names it, gone without a trace"
library=/usr/lib/dmverity/libcryptsetup.so.12
for order in "library.deb $their_deb" "$their_deb library.deb"; do
    for state in $order; do package --install "$state"; done
    snapshot with-library
    is_theirs "$their_deb"
    loads "$(ldconfig -p | sed -n 's/.*libcryptsetup\.so\.12.* => //p')"
    if ldconfig -p | grep -q dmverity; then fail "the linker's cache has our library"; fi
    # The cache as it would be made now: dpkg does not make it again for a file in ld.so.conf.d.
    if ldconfig -N -X -v 2>/dev/null | grep -q dmverity; then fail "the linker looks in our library's folder"; fi
    LD_LIBRARY_PATH=/usr/lib/dmverity loads $library
    LD_LIBRARY_PATH=/usr/lib/dmverity works
    man -w libcryptsetup-verity >/dev/null || fail "there is no manual"
    package --install library-dev.deb
    [ "$(readlink -f /usr/lib/dmverity/libcryptsetup.so)" = $library ] || fail "the link for linking is wrong"
    package --purge libcryptsetup12-dmverity-dev
    same_as with-library
    package --install work/newer-library.deb
    is_theirs "$their_deb"
    LD_LIBRARY_PATH=/usr/lib/dmverity loads $library
    LD_LIBRARY_PATH=/usr/lib/dmverity works
    expected_warning=downgrading package --install library.deb
    same_as with-library
    package --remove libcryptsetup12-dmverity
    is_theirs "$their_deb"
    same_as "$their_deb"
    package --install library.deb
    package --purge $theirs
    package --purge libcryptsetup12-dmverity
    same_as before
done

say "the C library, our command and theirs at once: each goes without the others"
for order in "library.deb dmverity-tools.deb $their_deb" "$their_deb dmverity-tools.deb library.deb" \
    "dmverity-tools.deb library.deb $their_deb"; do
    for state in $order; do package --install "$state"; done
    is_ours
    choices 2
    update-alternatives --quiet --set veritysetup "$(distribution)"
    is_theirs "$their_deb"
    LD_LIBRARY_PATH=/usr/lib/dmverity loads $library
    package --install work/newer-library.deb work/newer-ours.deb
    is_theirs "$their_deb"
    package --remove libcryptsetup12-dmverity
    is_theirs "$their_deb"
    gone_leaves "$their_deb"
    package --purge $theirs
    same_as before
done

say "apt agrees, without a network"
apt-get -q install -y --no-install-recommends ./dmverity-tools.deb "./$their_deb" >work/apt.out 2>&1 || fail "apt-get install"
is_ours
apt-get -q purge -y dmverity-tools >work/apt.out 2>&1 || fail "apt-get purge"
is_theirs "$their_deb"
