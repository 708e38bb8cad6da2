# A signal ends an open at a random moment: either the image is open or it is not, and no loop device is left over.
# long: between
# timeout: 300

make_image d 64
vs format d h >made
root=$(root_hash made)
for signal in INT TERM HUP KILL; do
    for delay in 0 5 10 15 20 30 40 60 80 120; do
        # Not the function `vs`: the signal must reach the program.
        /bin/veritysetup open d v0 h "$root" &
        opener=$!
        usleep ${delay}000
        # The program may have ended already.
        kill -$signal $opener 2>/dev/null || :
        wait $opener || :
        # A killed process cannot clean up; with any other signal it has finished what it began.
        if [ $signal = KILL ]; then
            vs close v0 || dmsetup remove v0 || :
        elif vs status v0; then
            same d /dev/mapper/v0
            vs close v0
        fi
        not dmsetup info v0
        [ ! -e /dev/mapper/v0 ]
    done
done

# An interrupted trial leaves no scratch mapping.
for signal in INT TERM QUIT USR1; do
    for delay in 0 20 40 80 160 320; do
        /bin/veritysetup features >/dev/null &
        asker=$!
        usleep ${delay}000
        kill -$signal $asker 2>/dev/null || :
        wait $asker || :
        [ "$(dmsetup ls)" = "No devices found" ]
    done
done
