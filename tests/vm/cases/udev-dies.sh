# udev does not answer, or dies while a command waits for it: open and close still end, the node appears and
# disappears, and no semaphore is left behind.
# long: between
# boots: udev
# timeout: 300

make_image d 64
vs format d h >made
root=$(root_hash made)
udev=$(pidof systemd-udevd | tr ' ' '\n' | sort -n | head -n 1)
start_udev() {
    kill -CONT $udev 2>/dev/null || :
    kill -KILL $(pidof systemd-udevd) 2>/dev/null || :
    /usr/lib/systemd/systemd-udevd --daemon
    udevadm settle --timeout=60
}
trap start_udev EXIT

# udev hangs.
kill -STOP $udev
run vs open d v0 h "$root"
expect_code 0
expect_out ""
expect_err "WARNING: udev did not confirm device v0 in time; links to it may be missing."
same d /dev/mapper/v0
[ "$(sed 1d /proc/sysvipc/sem | wc -l)" = 0 ]
vs close v0
[ ! -e /dev/mapper/v0 ]
[ ! -L /dev/mapper/v0 ]
[ "$(sed 1d /proc/sysvipc/sem | wc -l)" = 0 ]

# udev is killed while the command waits for it.
/bin/veritysetup open d v0 h "$root" 2>err &
opener=$!
for wait in $(seq 100); do
    [ "$(sed 1d /proc/sysvipc/sem | wc -l)" = 0 ] || break
    sleep 0.1
done
[ "$(sed 1d /proc/sysvipc/sem | wc -l)" = 1 ]
kill -KILL $(pidof systemd-udevd)
wait $opener
expect_text "the warning" "WARNING: udev did not confirm device v0 in time; links to it may be missing." "$(cat err)"
same d /dev/mapper/v0
[ "$(sed 1d /proc/sysvipc/sem | wc -l)" = 0 ]
vs close v0
[ ! -e /dev/mapper/v0 ]

# udev has died and left its socket: the command does not wait for it.
[ -S /run/udev/control ]
run vs open d v0 h "$root"
expect_code 0
expect_err ""
same d /dev/mapper/v0
vs close v0
[ ! -e /dev/mapper/v0 ]

# Once udev runs again, open and close work as before.
trap - EXIT
start_udev
vs open d v0 h "$root"
[ -L /dev/mapper/v0 ]
vs close v0
[ ! -L /dev/mapper/v0 ]
