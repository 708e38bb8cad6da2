# --restart-on-corruption restarts the machine at the first corrupted block.
# kernels: 6.1 7
# end: reboot
# expect: dm-verity device corrupted

make_image d 64
vs format d h >made
printf X | dd of=d bs=1 seek=100000 conv=notrunc
vs open d v0 h --restart-on-corruption "$(root_hash made)"
cat /dev/mapper/v0 >/dev/null
