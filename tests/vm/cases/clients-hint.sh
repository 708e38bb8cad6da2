# A hint that the kernel does not know: Debian's veritysetup opens the image without it on our C library, which says so.
# kernels: 5.10
# debian: sid
# long: everywhere
# processors: 1

. /vm/debian.sh
enter_debian
trap leave_debian EXIT
make_image $tree/tmp/d 64
root=$(cd $tree/tmp && vs format d h | root_hash)
library=/ours
run debian veritysetup open /tmp/d v /tmp/h "$root" --use-tasklets --ignore-zero-blocks
expect_code 0
expect_out ""
expect_err "Kernel does not support the dm-verity option try_verify_in_tasklet; the device was activated without it."
dmsetup table v | grep ' 1 ignore_zero_blocks$'
same $tree/tmp/d /dev/mapper/v
# What protects is never left out.
debian veritysetup close v
run debian veritysetup open /tmp/d v /tmp/h "$root" --panic-on-corruption --error-as-corruption
expect_code 1
expect_err "Kernel refused the dm-verity option panic_on_error."
