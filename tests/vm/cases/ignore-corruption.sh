# The options work: corruption is ignored, and zero blocks are not read.

make_image d 64
vs format d h >made
root=$(root_hash made)
printf X | dd of=d bs=1 seek=40960 conv=notrunc
vs open d v0 h "$root" --ignore-corruption
same d /dev/mapper/v0
vs status v0 | grep '^  status:      corrupted$'
vs close v0

truncate -s 0 d
truncate -s 256K d
vs format d h >made
root=$(root_hash made)
cp d zeros
printf X | dd of=d bs=1 seek=40960 conv=notrunc
vs open d v0 h "$root" --ignore-zero-blocks
same zeros /dev/mapper/v0
vs status v0 | grep '^  status:      verified$'
vs close v0
