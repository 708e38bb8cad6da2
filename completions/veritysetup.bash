# Completion of veritysetup for bash.
#
# `make completions` writes the three tables, the same in the files for bash, zsh and fish, from the command's own table of
# options. VERITYSETUP_SYSFS says where sysfs is, for tests.

# Name, kinds of arguments, description.
_veritysetup_actions="
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
_veritysetup_options="
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
_veritysetup_hashes="
sha256 sha512 sha1 sha224 sha384 sha512-224 sha512-256 sha3-224 sha3-256 sha3-384 sha3-512
blake2b-160 blake2b-256 blake2b-384 blake2b-512 blake2s-128 blake2s-160 blake2s-224 blake2s-256
ripemd160 rmd160 whirlpool wp512 sm3 md5 streebog256 stribog256 streebog512 stribog512
"

# The dm-verity mappings; sysfs names them also to those who may not ask device-mapper.
_veritysetup_mappings() {
    local uuid
    for uuid in "${VERITYSETUP_SYSFS:-/sys}"/block/dm-*/dm/uuid; do
        [[ -r $uuid && $(<"$uuid") == CRYPT-VERITY-* ]] && printf '%s\n' "$(<"${uuid%uuid}name")"
    done
}

# The words up to the cursor as the command sees them: readline also breaks them at = and :.
_veritysetup_split() {
    local line=$COMP_LINE index piece glued
    words=()
    for ((index = 0; index <= COMP_CWORD; index++)); do
        piece=${COMP_WORDS[index]}
        glued=${line%%[![:space:]]*}
        line=${line#"$glued"}
        line=${line#"$piece"}
        if [[ $index -gt 0 && -z $glued && ${#words[@]} -gt 0 ]]; then
            words[${#words[@]} - 1]+=$piece
        else
            words+=("$piece")
        fi
    done
}

_veritysetup() {
    local words current action='' rest=0 only_arguments='' awaited='' appended='' word actions names kind help
    local -A kinds=() arguments=()
    COMPREPLY=()
    _veritysetup_split

    while IFS='|' read -r names kind help; do
        [[ -n $names ]] && arguments[$names]=$kind
    done <<<"$_veritysetup_actions"
    while IFS='|' read -r actions names kind help; do
        for word in $names; do kinds[$word]=$kind; done
    done <<<"$_veritysetup_options"

    # What stands before the cursor: the action, how many arguments it has, an option that waits for its value.
    current=${words[${#words[@]} - 1]}
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $awaited ]]; then
            awaited=
        elif [[ -z $only_arguments && $word == -?* ]]; then
            [[ $word == -- ]] && only_arguments=yes
            [[ $word == --append ]] && appended=yes
            [[ -n ${kinds[$word]-} ]] && awaited=$word
        elif [[ -z $action ]]; then
            action=$word
        else
            ((++rest))
        fi
    done

    # What is wanted, and where in the word it starts.
    local wanted='' value=$current before=''
    if [[ -n $awaited ]]; then
        wanted=${kinds[$awaited]}
    elif [[ -z $only_arguments && $current == --*=* ]]; then
        before=${current%%=*}
        value=${current#*=}
        wanted=${kinds[$before]-}
        before+='='
    elif [[ -z $only_arguments && $current == -* ]]; then
        wanted=options
    elif [[ -z $action ]]; then
        wanted=actions
    else
        local -a all
        read -ra all <<<"${arguments[$action]-}"
        [[ -n $appended ]] && all=("${all[@]:0:1}")
        wanted=${all[rest]-}
    fi

    local -a found=()
    case $wanted in
    options)
        while IFS='|' read -r actions names kind help; do
            local canonical=$action
            case $action in create) canonical=open ;; remove) canonical=close ;; esac
            [[ -n $names && ( -z $action || $actions == all || " $actions " == *" $canonical "* ) ]] || continue
            for word in $names; do
                [[ -n $kind && $word == --* ]] && word+='='
                found+=("$word")
            done
        done <<<"$_veritysetup_options"
        ;;
    actions) found=("${!arguments[@]}") ;;
    device | file)
        # readline's own, which knows about quotes; it looks at what stands behind the =.
        compopt -o default
        return
        ;;
    mapping)
        mapfile -t found < <(_veritysetup_mappings)
        ;;
    hash) read -r -d '' -a found <<<"$_veritysetup_hashes" ;;
    size) found=(512 1024 2048 4096 8192 16384 32768 65536 131072 262144 524288) ;;
    roots) found=({2..24}) ;;
    format) found=(0 1) ;;
    offset) case $action in verify | repair | open | create | dump | table) found=(auto) ;; esac ;;
    esac

    # readline replaces only what stands behind the last = or :.
    local strip='' index
    for ((index = ${#current}; index > 0; index--)); do
        if [[ ${current:index-1:1} == [=:] && $COMP_WORDBREAKS == *"${current:index-1:1}"* ]]; then
            strip=${current:0:index}
            break
        fi
    done
    for word in "${found[@]}"; do
        [[ $word == "$value"* ]] || continue
        word=$before$word
        word=${word#"$strip"}
        [[ $wanted == mapping ]] && printf -v word %q "$word"
        COMPREPLY+=("$word")
    done
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == --*= ]] && compopt -o nospace
    return 0
}

complete -F _veritysetup veritysetup
