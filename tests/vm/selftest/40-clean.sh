# The next case finds nothing of all that.
# reports: ok

[ ! -e /sys/block/dm-0 ]
[ "$(losetup -f)" = /dev/loop0 ]
[ "$(ls /dev/mapper)" = control ]
[ "$(wc -l </proc/sysvipc/sem)" = 1 ]
not grep cryptsetup: /proc/keys
not grep /tmp/case /proc/mounts
