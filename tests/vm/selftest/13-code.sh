# Fails because of an exit code; what the command said is shown.
# reports: failed with exit code 1; its output:.*expected exit code 0, got 7; it said: some words.*

run sh -c 'echo some words; exit 7'
expect_code 0
