# Ends the machine without having announced it.
# reports: the machine ended; its console:\n.*Kernel panic - not syncing: sysrq triggered crash.*

echo c >/proc/sysrq-trigger
