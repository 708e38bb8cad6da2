# Loses its machine, and passes in another one.
# reports: ok

[ "$attempt" != 1 ] || echo c >/proc/sysrq-trigger
