//! What a reader makes of a signature.

/// A program that checks signatures of root hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reader {
    /// A kernel built without `CRYPTO_ECDSA`, such as Debian's 6.1.
    LinuxWithoutEcdsa,
    /// A kernel built with it, such as Debian's 6.12.
    LinuxWithEcdsa,
    /// Linux 7.0 and later, such as Debian's 7.2.
    Linux7,
    /// systemd, which checks a signature itself where the kernel does not trust it.
    Systemd,
}

impl Reader {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LinuxWithoutEcdsa, Self::LinuxWithEcdsa, Self::Linux7, Self::Systemd];

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinuxWithoutEcdsa => "linux-without-ecdsa",
            Self::LinuxWithEcdsa => "linux-with-ecdsa",
            Self::Linux7 => "linux-7",
            Self::Systemd => "systemd",
        }
    }

    /// What it is.
    pub fn description(self) -> &'static str {
        match self {
            Self::LinuxWithoutEcdsa => "Linux without ECDSA (as Debian's 6.1)",
            Self::LinuxWithEcdsa => "Linux with ECDSA (as Debian's 6.12)",
            Self::Linux7 => "Linux 7 (as Debian's 7.2)",
            Self::Systemd => "systemd in userspace",
        }
    }

    /// Where it has the certificates that it trusts.
    pub fn keyrings(self) -> &'static [&'static str] {
        match self {
            Self::LinuxWithoutEcdsa => &["built-in", "secondary"],
            Self::LinuxWithEcdsa => &["built-in", "secondary", "platform"],
            Self::Linux7 => &["built-in", "secondary", "platform", ".dm-verity"],
            Self::Systemd => &["/etc/verity.d", "/run/verity.d", "/usr/local/lib/verity.d", "/usr/lib/verity.d"],
        }
    }
}

/// A reader's answer to a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It takes the signature, if the certificate is trusted.
    Taken,
    /// That depends on how it was built or what is loaded, or was never tried.
    Depends,
    /// It refuses the signature.
    Refused,
}

impl Answer {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Depends => "depends",
            Self::Refused => "refused",
        }
    }
}

/// What a reader makes of a signature, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub(super) reader: Reader,
    pub(super) answer: Answer,
    pub(super) errno: Option<&'static str>,
    pub(super) reason: String,
}

impl Reading {
    /// Who reads it.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// What becomes of it.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// The name of the kernel's error, if it refuses the signature and the error is known.
    pub fn errno(&self) -> Option<&'static str> {
        self.errno
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// A refusal: the kernel's error, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) errno: Option<&'static str>,
    pub(super) reason: String,
}

/// A refusal with an errno.
pub(super) fn refused<T>(errno: &'static str, reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { errno: Some(errno), reason: reason.into() })
}

/// A refusal whose errno is not known, or without one.
pub(super) fn refused_somehow<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { errno: None, reason: reason.into() })
}

impl Reading {
    /// `Ok` has what the answer depends on, if anything, and why it is taken.
    pub(super) fn new(reader: Reader, result: Result<(Vec<String>, String), Refusal>) -> Self {
        match result {
            Ok((conditions, reason)) if conditions.is_empty() => {
                Self { reader, answer: Answer::Taken, errno: None, reason }
            }
            Ok((conditions, _)) => Self { reader, answer: Answer::Depends, errno: None, reason: conditions.join("; ") },
            Err(Refusal { errno, reason }) => Self { reader, answer: Answer::Refused, errno, reason },
        }
    }
}
