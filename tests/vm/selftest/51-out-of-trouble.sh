# The kernel's earlier complaint does not fail this case.
# reports: ok

:
