# Takes too long, and so does what it has started in the background.
# timeout: 2
# reports: timed out after 2 seconds; its output:.*sleep 1000.*

sleep 1000 &
sleep 1000
