# Kernels let root open a read-only device for writing: the command notices it before it writes to the other devices.
# long: between

make_image d 300
vs format d h --fec-device=f --salt=aa >made
root=$(root_hash made)
damage d 4096 4096
damage h 8192 20
damage f 100 1
for name in d h f; do
    cp $name $name.damaged
done

# attached LOCKED: attaches all three devices, LOCKED read-only.
attached() {
    data=$(attach d $([ "$1" != d ] || echo -r))
    hash=$(attach h $([ "$1" != h ] || echo -r))
    fec=$(attach f $([ "$1" != f ] || echo -r))
}

# unchanged: fails if a refused command has changed anything; detaches the devices.
unchanged() {
    [ "$code" = 1 ] || [ "$code" = 4 ] || fail "exit code $code: $out $err"
    expect_out ""
    [ -n "$err" ] || fail "nothing was said"
    for name in d h f; do
        same $name.damaged $name
    done
    losetup -d "$data"
    losetup -d "$hash"
    losetup -d "$fec"
}

for locked in d h f; do
    attached $locked
    run vs repair --dry-run "$data" "$hash" --fec-device="$fec" "$root"
    expect_code 0
    expect_err "Found 4117 repairable errors with FEC device."
    run vs repair "$data" "$hash" --fec-device="$fec" "$root"
    unchanged
done
for locked in h f; do
    attached $locked
    run vs format "$data" "$hash" --fec-device="$fec" --salt=bb
    unchanged
done
