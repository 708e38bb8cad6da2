# Leaves a key in the user's keyring.
# reports: left something behind; its output:.*left behind: key: cryptsetup:left \(id [0-9a-f]+\)\n.*

echo signature | keyctl padd user cryptsetup:left @u
