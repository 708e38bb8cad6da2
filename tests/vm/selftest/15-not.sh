# Fails because a command succeeds that should not.
# reports: failed with exit code 1; its output:.*FAILED: this was not to succeed: true.*

not false
not true
