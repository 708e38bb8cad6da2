# Ours and the reference: each opens, shows and closes what the other formatted and opened.
# boots: bare udev

# Units and a trailing blank depend on the version of the reference.
plain() {
    sed 's/ \[512-byte units\] ([0-9]* \[bytes\])$//; s/ \[bytes\]$//; s/ sectors$//; s/ $//'
}

make_image d 300
vs format d ours --salt=aa >made
root=$(root_hash made)
ref format d theirs --salt=aa >/dev/null

ref open d v0 ours "$root"
same d /dev/mapper/v0
ref status v0 >expected
vs status v0 >found
expect_text status "$(plain <expected)" "$(plain <found)"
vs close v0

vs open d v0 theirs "$root" --check-at-most-once --ignore-zero-blocks
same d /dev/mapper/v0
ref status v0 >expected
vs status v0 >found
expect_text status "$(plain <expected)" "$(plain <found)"
ref close v0
