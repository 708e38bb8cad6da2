# The machine runs the kernel that was asked for, with device-mapper's verity target, and udev or the kernel makes the
# device nodes, as was asked for.
# boots: bare udev

case $(uname -r) in
"$kernel".*) ;;
*) fail "this is Linux $(uname -r), not $kernel" ;;
esac
dmsetup targets | grep '^verity '

if [ "$nodes" = udev ]; then
    udevadm control --ping
else
    not pidof systemd-udevd
fi
