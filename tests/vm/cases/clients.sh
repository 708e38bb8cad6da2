# Programs of Debian that open verity images through libcryptsetup, on Debian's library and on ours: their exit codes,
# their texts, the mappings and loop devices are the same.
# kernels: 6.12
# debian: trixie
# images: squashfs extension
# certificate: built-in
# signatures: good untrusted forms
# files: tests/vm/expected/mappings.diff
# compiled: mappings threads
# processors: 1
# timeout: 900

. /vm/clients.sh
