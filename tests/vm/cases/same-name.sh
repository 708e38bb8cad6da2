# Two processes open the same name at once: one wins, the other is told that the name is taken.
# long: between
# boots: bare udev

make_image d 64
vs format d h >made
root=$(root_hash made)
for round in $(seq 15); do
    for number in 1 2; do
        {
            code=0
            /bin/veritysetup open d v0 h "$root" 2>err$number || code=$?
            echo $code >code$number
        } &
    done
    wait
    expect_text "the exit codes" "0 5" "$(sort -n code1 code2 | tr '\n' ' ' | sed 's/ $//')"
    expect_text "what is said" "Device v0 already exists." "$(cat err1 err2)"
    same d /dev/mapper/v0
    vs close v0
done
