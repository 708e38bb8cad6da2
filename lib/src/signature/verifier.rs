//! Who is trusted, and whether a signature is right.

use super::certificate::Certificate;
use super::chain::{Checks, Search};
use super::check::check_content;
use super::error::{Error, Result};
use super::message::{Signature, Signer};
use super::time::Time;

/// Checks signatures against the certificates of those who are trusted.
///
/// A signer whose own certificate was named with [`signer`](Self::signer) or [`fingerprint`](Self::fingerprint) is
/// trusted: this is systemd's rule. With [`authority`](Self::authority) a signer is trusted as well if a chain of
/// certificates leads there.
///
/// ```
/// use dmverity::signature::{Certificate, Signature, Verifier};
///
/// # let pem = include_str!("../../examples/signature/signer.crt");
/// # let bytes = include_bytes!("../../examples/signature/signature.p7s");
/// # let root_hash = include_str!("../../examples/signature/root-hash");
/// let verifier = Verifier::new().signer(Certificate::from_pem_first(pem)?);
/// let verified = verifier.verify(root_hash.as_bytes(), &Signature::parse(bytes)?)?;
/// assert_eq!(verified.signer().subject(), "CN=Example p256");
/// # Ok::<(), dmverity::signature::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    signers: Vec<Certificate>,
    fingerprints: Vec<[u8; 32]>,
    authorities: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    time: Option<Time>,
}

/// A correct signature by a trusted signer.
#[derive(Clone, Debug)]
pub struct Verified {
    chain: Vec<Certificate>,
    warnings: Vec<String>,
}

impl Verified {
    /// The certificate of the signer; of the first one, if there are several.
    pub fn signer(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The certificates from the signer's own to the trusted one; one alone if that is the signer's.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// What is odd about the signature or the certificates, such as dates.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Verifier {
    /// Without a trusted certificate yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the holder of this certificate.
    #[must_use]
    pub fn signer(mut self, certificate: Certificate) -> Self {
        self.signers.push(certificate);
        self
    }

    /// Trusts the holder of the certificate that has this [fingerprint](Certificate::fingerprint). The certificate has
    /// to be in the signature, or known as an [intermediate](Self::intermediate) one.
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: [u8; 32]) -> Self {
        self.fingerprints.push(fingerprint);
        self
    }

    /// Trusts everyone to whom this authority issued a certificate, and those below. Chains follow RFC 5280: every
    /// issuer is an authority (`CA:TRUE`) that may sign certificates, path lengths hold, and no critical extension is
    /// unknown. The holder of this certificate may sign content too.
    #[must_use]
    pub fn authority(mut self, certificate: Certificate) -> Self {
        self.authorities.push(certificate);
        self
    }

    /// A certificate that may be part of a chain, without being trusted.
    #[must_use]
    pub fn intermediate(mut self, certificate: Certificate) -> Self {
        self.intermediates.push(certificate);
        self
    }

    /// Refuses certificates that are not valid at this time. Without it, those that are not valid now cause a warning:
    /// the signature does not prove when it was made.
    #[must_use]
    pub fn at(mut self, time: Time) -> Self {
        self.time = Some(time);
        self
    }

    /// Checks a signature of this content, which is usually a root hash as lower-case hexadecimal digits. Every signer
    /// has to be trusted, as in OpenSSL.
    pub fn verify(&self, content: &[u8], signature: &Signature) -> Result<Verified> {
        if self.signers.is_empty() && self.fingerprints.is_empty() && self.authorities.is_empty() {
            return Err(Error::NoTrustedCertificate);
        }
        let message = signature.message();
        check_content(message, content)?;
        let mut warnings = Vec::new();
        if signature.padding() > 0 {
            warnings.push(format!("{} NULs follow the signature.", signature.padding()));
        }
        let checks = Checks::default();
        let mut first = None;
        for signer in &message.signers {
            let chain = self.check_signer(signer, signature, content, &checks)?;
            warnings.extend(warnings_about(signer, &chain));
            warnings.extend(self.check_dates(&chain)?);
            first.get_or_insert(chain);
        }
        warnings.dedup();
        // A signature without a signer cannot be parsed.
        let chain = first.ok_or_else(|| Error::malformed("it has no signer"))?;
        Ok(Verified { chain: chain.into_iter().cloned().collect(), warnings })
    }

    /// The chain of a signer who is trusted and did sign.
    fn check_signer<'a>(
        &'a self,
        signer: &Signer,
        signature: &'a Signature,
        content: &[u8],
        checks: &Checks,
    ) -> Result<Vec<&'a Certificate>> {
        let known = self.signers.iter().chain(&self.authorities).chain(&self.intermediates);
        let mut reason = None;
        for certificate in known.chain(signature.certificates()).filter(|each| signer.id.names(each)) {
            match self.trusted(certificate, signature, checks) {
                Ok(chain) => {
                    chain.iter().try_for_each(|certificate| certificate.check_extensions())?;
                    signer.check(signature.message(), certificate, content)?;
                    return Ok(chain);
                }
                Err(found) => reason = found.or(reason),
            }
        }
        // An algorithm that is not supported is reported first: another certificate would not help.
        super::scheme::Scheme::of(&signer.algorithm_identifier(), Some(signer.known_digest()?))?;
        Err(Error::NotTrusted { signer: signer.to_string(), reason })
    }

    fn trusted<'a>(
        &'a self,
        certificate: &'a Certificate,
        signature: &'a Signature,
        checks: &Checks,
    ) -> Result<Vec<&'a Certificate>, Option<String>> {
        if self.signers.contains(certificate) || self.fingerprints.contains(&certificate.fingerprint()) {
            return Ok(vec![certificate]);
        }
        if self.authorities.is_empty() {
            return Err(None);
        }
        let others = self.intermediates.iter().chain(signature.certificates());
        Search::new(&self.authorities, others, checks).chain_of(certificate)
    }

    /// Warnings about dates, or a refusal if the time is given.
    fn check_dates(&self, chain: &[&Certificate]) -> Result<Vec<String>> {
        let Some(now) = self.time.or_else(Time::now) else { return Ok(Vec::new()) };
        let mut warnings = Vec::new();
        for certificate in chain {
            if certificate.is_valid_at(now) {
                continue;
            }
            let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
            let subject = certificate.subject();
            if self.time.is_some() {
                return Err(Error::NotValidAt { subject, not_before, not_after, time: now });
            }
            warnings.push(if now < not_before {
                format!("the certificate of {subject} is not valid before {not_before}.")
            } else {
                format!("the certificate of {subject} expired at {not_after}.")
            });
        }
        Ok(warnings)
    }
}

fn warnings_about(signer: &Signer, chain: &[&Certificate]) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Ok(digest) = signer.known_digest()
        && digest.is_weak()
    {
        warnings.push(format!("the signature uses {}, for which collisions can be computed.", digest.name()));
    }
    for certificate in chain {
        if certificate.public_key().is_ok_and(|key| key.is_short()) {
            warnings.push(format!("the RSA key of {} has less than 2048 bits.", certificate.subject()));
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
