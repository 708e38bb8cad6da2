# Passes, but the kernel complains meanwhile, without ending the machine.
# reports: the kernel is in trouble:\n.*BUG: made up.*

echo '<1>BUG: made up' >/dev/kmsg
