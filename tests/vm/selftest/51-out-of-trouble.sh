# What the kernel has complained about before is not this case's doing.
# reports: ok

:
