# Never runs, and is reported.
# reports: the machine ended; its console:\n.*Kernel panic - not syncing: sysrq triggered crash.*

:
