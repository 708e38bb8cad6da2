# Fails because of a variable that is not set.
# reports: failed with exit code 2; its output:.*parameter not set.*

echo "$no_such_variable"
