# Does not get its turn, and is not passed over in silence.
# reports: the machine ended; its console:\n.*Kernel panic - not syncing: sysrq triggered crash.*

:
