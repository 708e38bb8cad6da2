# An image builder in Python: regular expressions over the output, and partition UUIDs from the root hash.
import re
import subprocess
import uuid


def run(*arguments):
    return subprocess.run(["veritysetup", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


printed = run("format", "rootfs.img", "rootfs.verity", "--salt", "-", "--uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71")
match = re.search(r"^Root hash:\s+([a-f0-9]+)$", printed, re.MULTILINE)
assert match, printed
digest = bytes.fromhex(match.group(1))
print(uuid.UUID(bytes=digest[:16]), uuid.UUID(bytes=digest[-16:]))

fields = {}
for line in run("dump", "rootfs.verity").splitlines():
    key, colon, value = line.partition(":")
    if colon and value.strip():
        fields[key] = value.split()[0]
assert int(fields["Data blocks"]) * int(fields["Data block size"]) == 200 * 4096
assert fields["Salt"] == "-"
for key in sorted(fields):
    print(key, fields[key])

data = bytearray(open("rootfs.img", "rb").read())
data[5000] ^= 1
open("damaged.img", "wb").write(data)
bad = subprocess.run(
    ["veritysetup", "verify", "damaged.img", "rootfs.verity", digest.hex()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
)
print(bad.returncode, "Verification of data area failed." in bad.stdout)
