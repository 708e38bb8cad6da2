# The machine runs the kernel that was asked for, with device-mapper's verity target, and the device nodes are made by
# whoever is to make them.
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
