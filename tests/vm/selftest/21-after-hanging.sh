# Nothing of the case before is left running.
# reports: ok

ps >processes
not grep 'sleep 1000' processes
grep init processes
