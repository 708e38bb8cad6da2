# bash reads this before cryptsetup's tests, which discard most errors: it records each program that the machine lacks.
command_not_found_handle() {
    echo "$1" >>/tmp/compat.missing
    return 127
}
