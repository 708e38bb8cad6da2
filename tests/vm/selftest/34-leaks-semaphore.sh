# Leaves a semaphore, like a udev cookie that no process has waited for.
# reports: left something behind; its output:.*left behind: SysV semaphore: id [0-9]+, key [0-9]+\n.*

dmsetup udevcreatecookie
