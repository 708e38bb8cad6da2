# A kernel built without FEC: open says so and leaves nothing behind; all other uses of FEC need no kernel.
# kernels: 5.10

make_image d 64
vs format d h --fec-device=f --salt=aa >made
root=$(root_hash made)
run vs open d v0 h "$root" --fec-device=f
expect_code 1
expect_out ""
expect_text "what it says first" "Kernel refused the dm-verity option use_fec_from_device (--fec-device).
hint: use_fec_from_device came with Linux 4.5 and is a build option: use a kernel with CONFIG_DM_VERITY_FEC, or leave out \
--fec-device." "$(echo "$err" | head -n 2)"
nothing_left

# Without FEC, the image opens.
vs open d v0 h "$root"
same d /dev/mapper/v0
vs close v0

cp d image
damage d 4096 4096
vs repair d h --fec-device=f "$root"
same image d
