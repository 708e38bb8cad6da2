# Fails because a text is not the expected one; the difference is shown.
# reports: failed with exit code 1; its output:.*-two\n\+2\n.*FAILED: standard output is not what was expected.*

run printf 'one\n2\nthree\n'
expect_out 'one
two
three'
