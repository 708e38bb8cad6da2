# The same as `clients` with the newest Debian: programs that open verity images through libcryptsetup, on its library
# and on ours.
# kernels: 7
# debian: sid
# long: everywhere
# images: squashfs extension
# certificate: built-in
# signatures: good untrusted forms
# files: tests/vm/expected/mappings.diff
# compiled: mappings threads
# processors: 1
# timeout: 900

. /vm/clients.sh
