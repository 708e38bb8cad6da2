# A configure script's questions: is it new enough, and does it know an option?
set -eu
version=$(veritysetup --version | sed -n 's/^veritysetup \([0-9]*\.[0-9]*\.[0-9]*\).*/\1/p')
oldest=$(printf '%s\n' 2.0.4 "$version" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)
[ "$oldest" = 2.0.4 ]
for option in --root-hash-file --root-hash-signature --fec-device --check-at-most-once --panic-on-corruption --hash-offset; do
    if veritysetup --help | grep -q -- "$option"; then echo "has $option"; else echo "lacks $option"; fi
done
for action in format verify open close status dump; do
    veritysetup --help | awk -v action="$action" '$1 == action { found = 1 } END { exit !found }' && echo "has $action"
done
veritysetup --help | sed -n 's/.*Hash: \([^,]*\), Data block (bytes): \([0-9]*\), Hash block (bytes): \([0-9]*\).*/\1 \2 \3/p'
