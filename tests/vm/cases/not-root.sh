# A user other than root can work on files, and the command says why device-mapper is not accessible.

make_image d 64
vs format d h >made
root=$(root_hash made)
chmod 644 d h
as_nobody() {
    su -s /bin/sh nobody -c "cd $PWD && /bin/veritysetup $*"
}

run as_nobody verify d h "$root"
expect_code 0
for action in "open d v0 h $root" "status v0" "close v0"; do
    run as_nobody "$action"
    case $action in
    close*) expect_code 4 ;;
    *) expect_code 2 ;;
    esac
    expect_out ""
    expect_err "Cannot initialize device-mapper, running as non-root user."
    refused_as_json
done
