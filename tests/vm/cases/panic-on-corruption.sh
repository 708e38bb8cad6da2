# --panic-on-corruption ends the machine at the first corrupted block.
# kernels: 6.1 7
# end: panic
# expect: Kernel panic - not syncing: dm-verity device corrupted

make_image d 64
vs format d h >made
printf X | dd of=d bs=1 seek=100000 conv=notrunc
vs open d v0 h --panic-on-corruption "$(root_hash made)"
cat /dev/mapper/v0 >/dev/null
