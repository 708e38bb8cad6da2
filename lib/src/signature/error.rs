//! What can be wrong with a signature, a certificate or a key.

use super::time::Time;

/// The result type of everything that has to do with signatures.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a signature, a certificate or a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Input that is longer than any of its kind.
    #[error("{what}: {found} bytes are too many; the maximum is {most}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The largest length that is accepted.
        most: usize,
    },
    /// A signature that is PEM text.
    #[error("not DER: the signature is PEM text")]
    Pem,
    /// A signature in BER with indefinite lengths.
    #[error("not DER: the signature has indefinite lengths (BER)")]
    IndefiniteLength,
    /// Bytes that are not DER, or DER of another structure.
    #[error("{what}: not DER: {reason}")]
    NotDer {
        /// What it should be.
        what: &'static str,
        /// What was found.
        reason: String,
    },
    /// Bytes other than NULs after a signature.
    #[error("not DER: {found} bytes follow the signature")]
    TrailingBytes {
        /// How many.
        found: usize,
    },
    /// `SignedData` without the `ContentInfo` around it.
    #[error("the signature is bare SignedData, without the ContentInfo around it")]
    BareSignedData,
    /// Another kind of CMS message.
    #[error("the CMS message is not SignedData but of type {found}")]
    NotSignedData {
        /// Its object identifier.
        found: String,
    },
    /// A signature that breaks a rule of CMS, or goes beyond what is checked here.
    #[error("the signature is malformed: {reason}")]
    Malformed {
        /// Which rule.
        reason: String,
    },
    /// An algorithm that this library does not have.
    #[error("{what} is not supported")]
    Unsupported {
        /// Which algorithm, and of what.
        what: String,
    },
    /// An RSA key of a size that is not accepted.
    #[error("an RSA key of {bits} bits; 1024 to 8192 are accepted")]
    RsaSize {
        /// The size of its modulus.
        bits: usize,
    },
    /// A certificate that cannot be used.
    #[error("certificate of {subject}: {reason}")]
    Certificate {
        /// Whose it is.
        subject: String,
        /// Why.
        reason: String,
    },
    /// There is no certificate in a PEM file.
    #[error("no certificate found: neither DER nor PEM with BEGIN CERTIFICATE")]
    NoCertificate,
    /// A verifier without a trusted certificate.
    #[error("no trusted certificate was given")]
    NoTrustedCertificate,
    /// The signer's certificate is neither trusted itself nor is there a chain to a trusted one.
    #[error("signed by {signer}, which is not trusted")]
    NotTrusted {
        /// The signer as the signature names it.
        signer: String,
        /// Why no chain was found, where authorities are trusted.
        reason: Option<String>,
    },
    /// The signature was not made by this key over this content.
    #[error("the signature of {signer} is wrong: another key made it, or it is for other content")]
    Wrong {
        /// The signer as its certificate names it.
        signer: String,
    },
    /// The signature contains content, and other content was to be checked.
    #[error("the signature contains other content")]
    OtherContent,
    /// A certificate that is not valid at the time that was asked for.
    #[error("certificate of {subject}: valid from {not_before} to {not_after}, not at {time}")]
    NotValidAt {
        /// Whose it is.
        subject: String,
        /// The first second.
        not_before: Time,
        /// The last second.
        not_after: Time,
        /// The time that was asked for.
        time: Time,
    },
    /// A private key that cannot be read.
    #[error("private key: {reason}")]
    PrivateKey {
        /// Why.
        reason: String,
    },
    /// An encrypted private key without a pass phrase.
    #[error("private key: encrypted, and no pass phrase was given")]
    NoPassphrase,
    /// The pass phrase does not decrypt the private key.
    #[error("private key: wrong pass phrase")]
    Passphrase,
    /// Private key and certificate are no pair.
    #[error("the private key does not belong to the certificate of {subject}")]
    KeyMismatch {
        /// Whose certificate it is.
        subject: String,
    },
    /// A digest with which nothing is signed here.
    #[error("{digest} is not used for new signatures with {key} keys")]
    Digest {
        /// Its name.
        digest: &'static str,
        /// The kind of key.
        key: &'static str,
    },
    /// A raw signature that is in no known form.
    #[error("the raw signature has {found} bytes and is in no known form; {expected} expected")]
    RawSignature {
        /// Its length in bytes.
        found: usize,
        /// What the certificate's key makes.
        expected: String,
    },
    /// The key could not sign.
    #[error("signing failed: {reason}")]
    Signing {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// DER that cannot be read.
    pub(super) fn not_der(what: &'static str, error: der::Error) -> Self {
        Self::NotDer { what, reason: error.to_string() }
    }

    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }
}
