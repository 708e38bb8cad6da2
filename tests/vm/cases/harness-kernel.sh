# The machine runs the requested kernel, with device-mapper's verity target, and udev or the kernel makes the device
# nodes, as requested.
# boots: bare udev
# arm64: 6.12-arm64 6.12-arm64-16k 7-arm64

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
