//! A table that the kernel refused, in words: one line that says what was refused, then what to do about it.

use dmverity::dm::{Cause, KernelAnswer, RefusedOption, RefusedTable, SignatureFault};
use dmverity::table::TableOption;
use dmverity::{HashAlgorithm, messages};

use crate::failure::{Exit, Failure};
use crate::kernel_options::KernelOption;
use crate::report::{RefusedOptionFields, RefusedTableFields};

/// The lines for a refused table; the exit code is that of wrong parameters, whatever is wrong.
pub(crate) fn failure(refused: &RefusedTable) -> Failure {
    let failure = match &refused.cause {
        Cause::Options(options) => refused_options(options),
        Cause::Combination(options) => {
            let names: Vec<String> = options.iter().map(|&option| named(option)).collect();
            line(format!("Kernel refused the dm-verity options {} together.", list(&names)))
                .hint("it accepts each of them alone: leave one out.")
                .hint(answered(&refused.answer))
        }
        Cause::Algorithm { name } => algorithm(name).hint(answered(&refused.answer)),
        Cause::BlockSize { area, found, least, most } => {
            let bounds = [
                most.filter(|most| found > most)
                    .map(|most| format!("the kernel's page size is {most} bytes; {area} blocks cannot be larger.")),
                least.filter(|least| found < least).map(|least| {
                    format!("the {area} device reads in units of {least} bytes; {area} blocks cannot be smaller.")
                }),
            ];
            line(format!("Kernel refused the {area} block size of {found} bytes."))
                .hints(bounds.into_iter().flatten())
                .hint(answered(&refused.answer))
        }
        Cause::SignatureRequired => line("Kernel requires a root hash signature, but none was given.")
            .hint("give one with --root-hash-signature; the module parameter dm_verity.require_signatures demands it.")
            .hint(answered(&refused.answer)),
        _ => line(format!("Kernel refused the dm-verity table: {}.", refused.answer.errno.description()))
            .hint(answered(&refused.answer)),
    };
    let refused_options = match &refused.cause {
        Cause::Options(options) => options.iter().map(option_fields).collect(),
        Cause::Combination(options) => options.iter().map(|&option| fields_of(option, &refused.answer)).collect(),
        _ => Vec::new(),
    };
    let fields = RefusedTableFields {
        refused_options,
        kernel_message: refused.answer.kernel_message.clone(),
        table: refused.table.clone(),
    };
    let failure = Failure { refused_table: Some(Box::new(fields)), ..failure };
    failure.hint(format!("the table was: {}", refused.table))
}

/// An option that was refused, for JSON.
pub(crate) fn option_fields(refused: &RefusedOption) -> RefusedOptionFields {
    fields_of(refused.option, &refused.answer)
}

fn fields_of(option: TableOption, answer: &KernelAnswer) -> RefusedOptionFields {
    RefusedOptionFields {
        option: KernelOption::of(option).option,
        kernel_option: option.word(),
        errno_name: Some(format!("{:?}", answer.errno)),
        kernel_message: answer.kernel_message.clone(),
    }
}

fn line(text: impl Into<String>) -> Failure {
    Failure::new(Exit::Parameters, text)
}

fn refused_options(options: &[RefusedOption]) -> Failure {
    let signature = match options {
        [only] => only.signature_fault().map(signature_fault),
        _ => None,
    };
    let failure = signature.unwrap_or_else(|| {
        let names: Vec<String> = options.iter().map(|refused| named(refused.option)).collect();
        let options = if names.len() == 1 { "option" } else { "options" };
        line(format!("Kernel refused the dm-verity {options} {}.", list(&names)))
    });
    options.iter().fold(failure, |failure, refused| {
        let word = refused.option.word();
        let KernelOption { option, linux, build_option, .. } = *KernelOption::of(refused.option);
        let failure = if refused.signature_fault().is_some() {
            failure
        } else if let Some(build_option) = build_option {
            failure.hint(format!(
                "{word} came with Linux {linux} and is a build option: use a kernel with {build_option}, or leave out \
                 {option}."
            ))
        } else {
            failure.hint(format!("{word} came with Linux {linux}: use a newer kernel, or leave out {option}."))
        };
        failure.hint(format!("the kernel's answer to {word}: {}", text_of(&refused.answer)))
    })
}

fn signature_fault(fault: SignatureFault) -> Failure {
    let failure = line(messages::of_signature(fault));
    match fault {
        SignatureFault::KeyMissing => {
            failure.hint("the key is in the thread keyring, which may be out of reach in a sandbox.")
        }
        SignatureFault::NotTrusted => failure
            .hint(
                "its certificate has to be in a keyring that this kernel trusts for dm-verity: .builtin_trusted_keys \
                 or, depending on the configuration, .secondary_trusted_keys, .platform or (since Linux 7.0) \
                 .dm-verity.",
            )
            .hint("some kernels give the same answer to a signature of another root hash."),
        SignatureFault::Malformed => failure.hint(
            "it has to be a detached PKCS#7 signature in DER form: openssl smime -sign -nocerts -noattr -binary \
             -in ROOT_HASH_FILE -signer CERTIFICATE -inkey KEY -outform der -out FILE.",
        ),
        SignatureFault::Mismatch => failure.hint(
            "the signed data must be the root hash in lower-case hexadecimal digits without a newline, as format \
             --root-hash-file writes it, and nothing else: no S/MIME capabilities (openssl's -noattr).",
        ),
        SignatureFault::Algorithm => {
            failure.hint("sign with a key and a digest that this kernel has, such as RSA and sha256.")
        }
    }
}

fn algorithm(name: &str) -> Failure {
    let others: Vec<&str> =
        HashAlgorithm::from_name(name).map(|known| known.other_names().collect()).unwrap_or_default();
    let failure = line(format!("Hash algorithm {name} is not supported by the kernel."));
    let failure = if others.is_empty() {
        failure
    } else {
        failure.hint(format!("nor under its other names: {}.", others.join(", ")))
    };
    failure.hint("use a kernel that has it built in or as a loadable module, or format with another --hash.")
}

/// An option as the kernel and as the command line call it.
fn named(option: TableOption) -> String {
    format!("{} ({})", option.word(), KernelOption::of(option).option)
}

fn list(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// The kernel's answer to a whole table, as a hint.
fn answered(answer: &KernelAnswer) -> String {
    format!("the kernel's answer: {}", text_of(answer))
}

/// The errno and, where it is known, the kernel's own message.
fn text_of(answer: &KernelAnswer) -> String {
    match &answer.kernel_message {
        Some(message) => format!("{:?}: {message}", answer.errno),
        None => format!("{:?}, without a message that can be read in its log.", answer.errno),
    }
}

#[cfg(test)]
mod tests {
    use dmverity::dm::Errno;
    use dmverity::table::TableFlag;

    use super::*;

    const TABLE: &str = "1 7:1 7:0 4096 4096 64 1 sha256 00 -";

    /// What is said of a table that was refused for this cause, with these words in the kernel's log.
    fn said_of(cause: Cause, errno: Errno, words: Option<&str>) -> String {
        let answer = KernelAnswer { errno, kernel_message: words.map(str::to_owned) };
        let failure = failure(&RefusedTable { table: TABLE.to_owned(), answer, cause });
        assert_eq!(failure.exit, Exit::Parameters);
        failure.text()
    }

    fn option(option: TableOption, errno: Errno, words: &str) -> RefusedOption {
        RefusedOption { option, answer: KernelAnswer { errno, kernel_message: Some(words.to_owned()) } }
    }

    #[test]
    fn options_that_do_not_go_together_are_named_together() {
        let options =
            [TableFlag::PanicOnError, TableFlag::CheckAtMostOnce, TableFlag::TryVerifyInTasklet].map(TableOption::from);
        assert_eq!(
            said_of(Cause::Combination(options.to_vec()), Errno::EINVAL, Some("verity: Conflict")),
            "Kernel refused the dm-verity options panic_on_error (--error-as-corruption), check_at_most_once \
             (--check-at-most-once) and try_verify_in_tasklet (--use-tasklets) together.\n\
             hint: it accepts each of them alone: leave one out.\n\
             hint: the kernel's answer: EINVAL: verity: Conflict\n\
             hint: the table was: 1 7:1 7:0 4096 4096 64 1 sha256 00 -\n"
        );
    }

    #[test]
    fn a_signature_whose_key_is_not_found_is_not_called_untrusted() {
        let words = "verity: DM Verity Sig Verification Invalid key specified";
        let options = vec![option(TableOption::Signature, Errno::ENOKEY, words)];
        assert_eq!(
            said_of(Cause::Options(options), Errno::ENOKEY, Some(words)),
            format!(
                "Kernel did not find the key with the root hash signature.\n\
                 hint: the key is in the thread keyring, which may be out of reach in a sandbox.\n\
                 hint: the kernel's answer to root_hash_sig_key_desc: ENOKEY: {words}\n\
                 hint: the table was: {TABLE}\n"
            )
        );
    }

    #[test]
    fn a_kernel_without_signatures_is_told_from_a_bad_signature() {
        let options =
            vec![option(TableOption::Signature, Errno::EINVAL, "verity: Unrecognized verity feature request")];
        assert_eq!(
            said_of(Cause::Options(options), Errno::EINVAL, None),
            format!(
                "Kernel refused the dm-verity option root_hash_sig_key_desc (--root-hash-signature).\n\
                 hint: root_hash_sig_key_desc came with Linux 5.4 and is a build option: use a kernel with \
                 CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG, or leave out --root-hash-signature.\n\
                 hint: the kernel's answer to root_hash_sig_key_desc: EINVAL: verity: Unrecognized verity feature \
                 request\n\
                 hint: the table was: {TABLE}\n"
            )
        );
    }

    #[test]
    fn a_cause_that_was_not_found_is_reported_with_the_errno() {
        assert_eq!(
            said_of(Cause::Unknown, Errno::EIO, None),
            format!(
                "Kernel refused the dm-verity table: I/O error.\n\
                 hint: the kernel's answer: EIO, without a message that can be read in its log.\n\
                 hint: the table was: {TABLE}\n"
            )
        );
    }
}
