# Leaves a semaphore, as a cookie of udev's that no process has waited for is one.
# reports: left something behind; its output:.*left behind: SysV semaphore: id [0-9]+, key [0-9]+\n.*

dmsetup udevcreatecookie
