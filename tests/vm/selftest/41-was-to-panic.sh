# Announces the end of the machine and leaves it running.
# end: panic
# expect: never
# reports: was to end the machine, but has ended and left it running; its output:.*

:
