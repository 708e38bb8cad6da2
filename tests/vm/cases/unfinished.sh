# What a killed process leaves: status shows an unfinished mapping and close removes it; the next trial removes a
# scratch mapping.
# boots: bare udev

make_image d 64
vs format d h >made
root=$(root_hash made)
dmsetup create --notable -u CRYPT-VERITY-3bc1c38a4d33404fb0e29644e20ffa71-v0 v0
run vs open d v0 h "$root"
expect_code 5
expect_err "Device v0 already exists.
hint: it was never finished and holds no data: remove it with \`veritysetup close v0\`."
run vs status v0
expect_code 4
expect_out "/dev/mapper/v0 is inactive."
vs close v0
not dmsetup info v0
vs open d v0 h "$root"
same d /dev/mapper/v0
vs close v0

dmsetup create --notable -u DMVERITY-TRIAL-0123456789abcdef dmverity-trial-0123456789abcdef
vs features >/dev/null
not dmsetup info dmverity-trial-0123456789abcdef
