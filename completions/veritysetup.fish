# Completion of veritysetup for fish.
#
# `make completions` writes the three tables, the same in the files for bash, zsh and fish, from the command's own table of
# options. VERITYSETUP_SYSFS says where sysfs is, for tests.

# Name, kinds of arguments, description.
set -g __veritysetup_actions "
format|device device|format device
verify|device device text|verify device
update|device device text|update the hash tree after changes of the data
repair|device device text|repair device with its FEC device
open|device text device text|open device as <name>
create|text device device text|open device as <name>
close|mapping|close device (remove mapping)
remove|mapping|close device (remove mapping)
status|mapping|show active device status
dump|device|show on-disk information
plan|device|show sizes and offsets, without writing anything
table|device device text|show the line that opens device elsewhere
features||show what this kernel's dm-verity accepts
keyring|text file|add certificates to dm-verity's keyring, or seal it
inspect|device|show what is in a disk image
build||make a disk image of file systems and their hash trees
benchmark||show how fast this machine hashes and makes parity
sign|text|sign a root hash
signature|text file text|show who takes a root hash signature, or verify it
serve|device device text|serve device to NBD clients, each block verified
mount-file|device device text file|mount device as one file, each block verified
"
# Actions, names, kind of value, description.
set -g __veritysetup_options "
all|-? --help||Show this help message
all|--usage||Display brief usage
all|-V --version||Print package version
mount-file|--allow-other||Let other users read the mounted file
format plan|--append||Append hash tree (and FEC) to the data of one image
verify repair open dump table build sign serve mount-file|--arch|text|Use the image for these processors
verify repair open dump table signature serve mount-file|--at|text|Refuse certificates that are not valid at this time
all|-q --batch-mode||Do not ask for confirmation, show no progress
table|--boot-data-device|device|The data device's name where the line is used
table|--boot-fec-device|device|The FEC device's name where the line is used
table|--boot-hash-device|device|The hash device's name where the line is used
verify repair open dump table signature serve mount-file|--ca|file|Trust signers with a certificate from this authority
serve mount-file|--cache-size|text|Keep this much of the hash tree in memory (default: 67108864)
close|--cancel-deferred||Cancel a previously set deferred device removal
format build sign|--certificate|file|The signer's certificate
open table serve mount-file|--check-at-most-once||Verify data block only the first time it is read
open|--check-root||Read the first and last data block, close it again if they are wrong
table|--chromeos||Show ChromiumOS's dm= parameter
table|--cmdline||Show systemd's kernel command line parameters
format verify update repair open plan table build benchmark serve mount-file|--data-block-size|size|Block size on the data device
format verify update repair open plan table serve mount-file|--data-blocks|text|The number of blocks in the data file
format plan|--data-size|text|The size of data that do not exist yet, or of standard input
format|--containerd||Append the hash tree to a layer, as containerd does
all|--debug||Show debug messages
build|--defer-signature||Reserve partitions for signatures that are made later
close|--deferred||Device removal is deferred until the last user closes it
format|--deterministic||Derive salt and UUID from the other parameters
sign|--digest|text|The digest that is signed (default: sha256)
update|--dirty|file|Read the changed ranges from this file (- for standard input)
table|--dm-mod-create|text|Show the kernel's dm-mod.create parameter
mount-file|--direct-io||Verify each read, keep nothing in the page cache
format update repair open build|--dry-run||Only show what would be done
sign|--embed-certificate||Put the signer's certificate into the signature
format status dump plan|--env||Print KEY='value' lines for a shell instead of text
table|--embed-signature||Put the root hash signature itself into the line
open table|--error-as-corruption||Handle IO error as corruption
serve mount-file|--events-json|file|Write a line of JSON for each bad block (default: standard output)
serve mount-file|--exec|text|Run this command, and end with it
verify update repair open table serve mount-file|--expect|file|Fail unless the superblock is as in JSON of format
verify update repair open table serve mount-file|--expect-data-blocks|text|Fail unless the superblock has this number of blocks
format verify update repair open dump plan table serve mount-file|--fec-device|device|Path to device with error correction data
format verify update repair open dump plan table serve mount-file|--fec-offset|text|Starting offset on the FEC device
format verify update repair open dump plan table build serve mount-file|--fec-roots|roots|FEC parity bytes
format verify update repair open dump plan table serve mount-file|--fec-scope|text|What FEC covers after the data (default: device)
table|--fit||Show the dm-verity node of a FIT image
format verify update repair open plan table build benchmark serve mount-file|--format|format|Format type (1 - normal, 0 - original Chrome OS)
open|--from-cmdline|file|Open the root device that this kernel command line asks for
format verify update repair open plan table build benchmark serve mount-file|-h --hash|hash|Hash algorithm
format verify update repair open plan table build serve mount-file|--hash-block-size|size|Block size on the hash device
format verify update repair open dump plan table serve mount-file|--hash-offset|offset|Starting offset on the hash device
serve mount-file|--http-cache|file|Keep what is proven of an image on a web server in this file
serve mount-file|--http-cache-size|text|Size of that file at the most (default: 1073741824)
verify dump inspect serve mount-file|--http-timeout|text|How long a web server may send nothing (default: 30)
open table|--ignore-corruption||Ignore corruption, log it only
open table serve mount-file|--ignore-zero-blocks||Do not verify zeroed blocks
verify repair open dump table signature serve mount-file|--intermediate|file|A certificate between signer and authority
table|--ipe||Show a rule for a policy of the kernel's IPE module
format verify update repair open close status dump plan table features keyring inspect build benchmark sign signature serve mount-file|--json||Print one JSON object instead of text
sign|--join|file|Make a signature from one that was made elsewhere
table|--kata||Show what Kata Containers open the image with
format build sign|--key|file|The signer's private key
format|--like|device|Take salt, UUID, sizes and algorithm from this hash device
serve|--listen-fd|text|Serve on this inherited socket
verify repair open table sign serve mount-file|--manifest|file|JSON of format: sign it, or take root hash and parameters from it
verify repair open table serve mount-file|--manifest-signature|file|Path to the manifest's signature
build|--min-size||Place partitions as close together as systemd-repart does
update|--new-root-hash-file|file|Path to file for the new root hash
open|--no-fallback||Fail if the kernel refuses an option that only affects speed
format verify update repair open plan table serve mount-file|--no-superblock||Do not use verity superblock
update|--old-data|file|The data before the changes, with which FEC parity is updated faster
serve mount-file|--on-corruption|text|What follows a bad block (default: error)
format build sign|-o --output|file|Where the result is written
open table|--panic-on-corruption||Panic kernel if corruption is detected
format table|--partition-uuids||Show the partition UUIDs that follow from the root hash
format build sign|--passphrase-file|file|Path to pass phrase of the private key
verify repair open table inspect serve mount-file|--policy|text|Fail unless the image agrees with systemd's image policy
sign|--prepare||Show what has to be signed elsewhere
format verify update repair build|--progress-frequency|text|Show progress in lines, one every <secs> seconds
format verify update repair build|--progress-json||Show progress as lines of JSON
update|--range|text|Changed bytes of the data
open table|--restart-on-corruption||Restart kernel if corruption is detected
build|--root|file|The root file system
verify repair open dump table serve mount-file|--root-hash|text|Root hash of an image that is one argument; in dump, show that of the hash tree
format verify update repair open table build sign signature serve mount-file|--root-hash-file|file|Path to root hash file
verify repair open dump table serve mount-file|--root-hash-signature|text|Root hash signature
format verify update repair open table build benchmark serve mount-file|-s --salt|text|Salt
format build|--salt-seed|text|Derive salt and UUID from a text
build|--sector-size|text|Size of the disk's sectors, 512 or 4096
open|--shared||Share data device with another verity segment
format|--sidecars||Put hash tree and root hash next to the image, as systemd finds them
sign|--smime||Write the bytes that openssl smime writes
serve|--socket|file|Serve on a socket that is made here
verify|--strict||Fail even if FEC can repair all errors
verify|--tee||Write what is proven of standard input to standard output
format verify update repair build benchmark serve mount-file|--threads|text|Threads that hash (default: one for each processor)
dump|--tree||Draw the levels of the hash tree
verify repair open dump table signature serve mount-file|--trusted|file|Trust the holder of this certificate (sha256: and its fingerprint)
open table|--use-tasklets||Use kernel tasklets for performance
format verify repair open dump table build sign serve mount-file|--usr|file|Use the image for /usr; in build, the file system for it
format build|--uuid|text|UUID for device to use
all|-v --verbose||Shows more detailed error messages
serve mount-file|--verify|text|Which threads verify what is read (default: auto)
table|--veritytab|text|Show the line for /etc/veritytab
open|--with-usr||Open the image for /usr as well as the root device
"
set -g __veritysetup_hashes "
sha256 sha512 sha1 sha224 sha384 sha512-224 sha512-256 sha3-224 sha3-256 sha3-384 sha3-512
blake2b-160 blake2b-256 blake2b-384 blake2b-512 blake2s-128 blake2s-160 blake2s-224 blake2s-256
ripemd160 rmd160 whirlpool wp512 sm3 md5 streebog256 stribog256 streebog512 stribog512
"

# Each option that takes a value, under all its names.
set -g __veritysetup_valued
for line in (string split -n \n -- $__veritysetup_options)
    set -l fields (string split '|' -- $line)
    if test -n "$fields[3]"
        set -a __veritysetup_valued (string split ' ' -- $fields[2])
    end
end

# What stands before the cursor and is no option, nor an option's value.
function __veritysetup_words
    set -l awaited
    set -l only_arguments
    for word in (commandline -opc)[2..-1]
        if test -n "$awaited"
            set awaited
        else if test -z "$only_arguments"; and string match -qr -- '^-.' $word
            if test "$word" = --
                set only_arguments yes
            else if contains -- $word $__veritysetup_valued
                set awaited $word
            end
        else
            printf '%s\n' $word
        end
    end
end

# The action, by its newer name.
function __veritysetup_action
    switch (__veritysetup_words)[1]
        case create
            echo open
        case remove
            echo close
        case '*'
            __veritysetup_words | head -n 1
    end
end

# Whether the action is one of these, or there is none yet.
function __veritysetup_takes
    set -l action (__veritysetup_action)
    test -z "$action"; or contains -- $action $argv
end

# Whether an argument of this kind comes next.
function __veritysetup_wants
    set -l words (__veritysetup_words)
    test (count $words) -gt 0; or return 1
    if test (count $words) -gt 1; and contains -- --append (commandline -opc)
        return 1
    end
    for line in (string split -n \n -- $__veritysetup_actions)
        set -l fields (string split '|' -- $line)
        if test "$fields[1]" = "$words[1]"
            set -l kinds (string split ' ' -- $fields[2])
            set -l next (count $words)
            test "$kinds[$next]" = $argv[1]
            return
        end
    end
    return 1
end

# The dm-verity mappings; sysfs names them also to those who may not ask device-mapper.
function __veritysetup_mappings
    set -l sysfs /sys
    set -q VERITYSETUP_SYSFS; and set sysfs $VERITYSETUP_SYSFS
    for uuid in $sysfs/block/dm-*/dm/uuid
        if string match -q 'CRYPT-VERITY-*' <$uuid
            cat (string replace -r 'uuid$' name $uuid)
        end
    end
end

function __veritysetup_offsets
    contains -- (__veritysetup_action) verify repair open dump table; and echo auto
end

complete -c veritysetup -f
for line in (string split -n \n -- $__veritysetup_actions)
    set -l fields (string split '|' -- $line)
    complete -c veritysetup -n 'test -z "$(__veritysetup_action)"' -a $fields[1] -d $fields[3]
end
complete -c veritysetup -n '__veritysetup_wants device' -F
complete -c veritysetup -n '__veritysetup_wants mapping' -a '(__veritysetup_mappings)' -d mapping

for line in (string split -n \n -- $__veritysetup_options)
    set -l fields (string split '|' -- $line)
    set -l spec -d $fields[4]
    test "$fields[1]" = all; or set -a spec -n "__veritysetup_takes $fields[1]"
    for name in (string split ' ' -- $fields[2])
        switch $name
            case '--*'
                set -a spec -l (string sub -s 3 -- $name)
            case '-*'
                set -a spec -s (string sub -s 2 -- $name)
        end
    end
    switch "$fields[3]"
        case ''
        case device file
            set -a spec -r -F
        case hash
            set -a spec -x -a "$(string replace -a \n ' ' -- $__veritysetup_hashes)"
        case size
            set -a spec -x -a '512 1024 2048 4096 8192 16384 32768 65536 131072 262144 524288'
        case roots
            set -a spec -x -a '(seq 2 24)'
        case format
            set -a spec -x -a '0 1'
        case offset
            set -a spec -x -a '(__veritysetup_offsets)'
        case '*'
            set -a spec -x
    end
    complete -c veritysetup $spec
end
