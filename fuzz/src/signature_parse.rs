//! Signatures of root hashes, certificates, and raw signatures.
//!
//! Input: a byte that chooses what the rest is: a signature, a file of certificates, or a raw signature.

use std::sync::LazyLock;

use dmverity::signature::{Certificate, SignOptions, Signature, Verifier, join, lint};

use crate::input::Input;

pub(crate) const DICTIONARY: &[&str] = &[
    "-----BEGIN CERTIFICATE-----\n",
    "\n-----END CERTIFICATE-----\n",
    "vault:v1:",
    // Object identifiers: signed data, data, SHA-256, RSA, RSA-PSS, ECDSA with SHA-256, message digest, basic
    // constraints.
    "\x06\x09\x2a",
    "\x01\x07\x02",
    "\x01\x07\x01",
    "\x03\x04\x02\x01",
    "\x01\x01\x01\x05\0",
    "\x01\x01\x0a",
    "\x04\x03\x02",
    "\x01\x09\x04",
    "\x06\x03\x55\x1d\x13",
    "\x30\0",
    "\x31\0",
    "\x02\x01\x01",
    "\x02\x01\x03",
    "\0\0\0\0",
];

const ROOT_HASH: &[u8] = include_bytes!("../../tests/vectors/chain/sig/root-hash");
const OTHER: &[u8] = b"103c5e1c03067f1d32d9717499f4da69cccc616b3286fcee925c0caa69d050fa";

fn certificate(pem: &str) -> Certificate {
    Certificate::from_pem_first(pem).expect("a certificate")
}

static P256: LazyLock<Certificate> =
    LazyLock::new(|| certificate(include_str!("../../tests/vectors/chain/certs/p256.crt")));
static CA: LazyLock<Certificate> =
    LazyLock::new(|| certificate(include_str!("../../tests/vectors/chain/certs/ca.crt")));
static GOOD: LazyLock<Signature> =
    LazyLock::new(|| Signature::parse(include_bytes!("../../tests/vectors/chain/sig/cms-p256")).expect("a signature"));

/// A signature that is read has one reading, and one that is right is so for one content. What certificates say can be
/// read again. A raw signature becomes a signature only if it is right.
pub fn signature_parse(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => signature(input.rest()),
        1 => certificates(input.rest()),
        _ => raw_signature(input.rest()),
    }
}

fn signature(bytes: &[u8]) {
    let lint = lint(bytes, Some(ROOT_HASH), Some(std::slice::from_ref(&*P256)));
    assert!(lint.readings().iter().all(|reading| !reading.reason().is_empty()));
    let signature = match Signature::parse(bytes) {
        Ok(signature) => signature,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(!signature.signers().is_empty() && !lint.signers().is_empty());
    let der = signature.der();
    assert_eq!(bytes.len(), der.len() + signature.padding());
    assert!(Signature::parse(&der[..der.len() - 1]).is_err());
    assert!(Signature::parse(&[bytes, b"\x01"].concat()).is_err());
    let padded = Signature::parse(&[bytes, b"\0"].concat()).expect("it is read with more padding");
    assert_eq!((padded.der(), padded.padding()), (der, signature.padding() + 1));
    let verifier = Verifier::new().signer(P256.clone()).authority(CA.clone());
    if let Ok(verified) = verifier.verify(ROOT_HASH, &signature) {
        assert!(verified.chain().iter().any(|certificate| [&*P256, &*CA].contains(&certificate)));
        assert!(verifier.verify(OTHER, &signature).is_err());
        assert!(Verifier::new().signer(verified.signer().clone()).verify(ROOT_HASH, &signature).is_ok());
    }
}

fn certificates(bytes: &[u8]) {
    let found = match Certificate::all_from_bytes(bytes) {
        Ok(found) => found,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(!found.is_empty());
    for certificate in found {
        assert_eq!(Certificate::from_der(certificate.der()).as_ref(), Ok(&certificate));
        let texts = [certificate.subject(), certificate.issuer(), certificate.not_after().to_string()];
        assert!(texts.iter().all(|text| !text.contains('\0')), "{texts:?}");
        let _ = certificate.key_name();
        // As an authority it may be one of the real issuer's name.
        let verifier = Verifier::new().authority(certificate.clone()).intermediate(P256.clone());
        if verifier.verify(ROOT_HASH, &GOOD).is_ok() {
            assert!([P256.key_name(), CA.key_name()].contains(&certificate.key_name()));
        }
        let _ = lint(GOOD.der(), Some(ROOT_HASH), Some(&[certificate]));
    }
}

fn raw_signature(bytes: &[u8]) {
    match join(ROOT_HASH, &P256, bytes, &SignOptions::new()) {
        Ok(joined) => {
            let signature = Signature::parse(&joined).expect("it was just made");
            assert!(Verifier::new().signer(P256.clone()).verify(ROOT_HASH, &signature).is_ok());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
