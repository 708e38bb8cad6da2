# Leaves only a device node.
# reports: left something behind; its output:.*left behind: device node: /dev/mapper/node\n.*

ln -s /dev/null /dev/mapper/node
