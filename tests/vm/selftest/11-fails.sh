# Fails at a plain command, which the output shows.
# reports: failed with exit code 1; its output:.*\+ false.*

[ "$(pwd)" = /tmp/case ]
[ -z "$(ls)" ]
false
