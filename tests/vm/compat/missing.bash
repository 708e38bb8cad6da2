# bash reads this before cryptsetup's tests, which throw away most errors: a program that the machine does not have is
# written down.
command_not_found_handle() {
    echo "$1" >>/tmp/compat.missing
    return 127
}
