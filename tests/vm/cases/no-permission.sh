# Root without the capability that device-mapper asks for, as in a container.

make_image d 64
vs format d h >made
powerless() {
    /ref/setpriv --bounding-set -sys_admin /bin/veritysetup "$@"
}
for action in "open d v0 h $(root_hash made)" "status v0" "close v0" features; do
    # shellcheck disable=SC2086 # one word each
    run powerless $action
    expect_code 2
    expect_out ""
    expect_err "Cannot initialize device-mapper, permission denied.
hint: the kernel says EACCES: device-mapper needs the capability CAP_SYS_ADMIN."
    nothing_left
done
