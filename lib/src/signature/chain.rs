//! Chains of certificates from a signer to a trusted authority. This is stricter than the kernel, which ignores what a
//! certificate may be used for.

use std::cell::Cell;

use super::certificate::Certificate;
use super::error::Result;

/// The longest chain, signer and authority included.
const MOST_CERTIFICATES: usize = 8;

/// How many signatures of certificates are checked to verify one signature of content.
const MOST_CHECKS: usize = 64;

/// Counts checks, which take time, over all searches for one signature.
#[derive(Default)]
pub(super) struct Checks(Cell<usize>);

impl Checks {
    /// Whether one more is too many.
    fn are_used_up(&self) -> bool {
        self.0.set(self.0.get() + 1);
        self.0.get() > MOST_CHECKS
    }
}

/// Searches a chain.
pub(super) struct Search<'a, 'b> {
    authorities: &'a [Certificate],
    others: Vec<&'a Certificate>,
    checks: &'b Checks,
    /// Why the last promising chain was refused.
    reason: Option<String>,
}

impl<'a, 'b> Search<'a, 'b> {
    /// Between signer and authority there may be any of `others`, which are not trusted on their own.
    pub(super) fn new(
        authorities: &'a [Certificate],
        others: impl Iterator<Item = &'a Certificate>,
        checks: &'b Checks,
    ) -> Self {
        Self { authorities, others: others.collect(), checks, reason: None }
    }

    /// The certificates from the signer's own to the authority; or why there is no such chain, if that is known.
    pub(super) fn chain_of(mut self, signer: &'a Certificate) -> Result<Vec<&'a Certificate>, Option<String>> {
        if self.authorities.contains(signer) {
            return Ok(vec![signer]);
        }
        if signer.usage().may_sign == Some(false) {
            return Err(Some(signer.refused("its key usage does not allow signatures").to_string()));
        }
        let mut chain = vec![signer];
        if self.extend(&mut chain) { Ok(chain) } else { Err(self.reason) }
    }

    /// Makes a chain longer until it ends with an authority.
    fn extend(&mut self, chain: &mut Vec<&'a Certificate>) -> bool {
        if chain.len() == MOST_CERTIFICATES {
            self.reason = Some(format!("the chain has more than {MOST_CERTIFICATES} certificates"));
            return false;
        }
        let last = chain[chain.len() - 1];
        let authorities = self.authorities.iter().map(|issuer| (issuer, true));
        let others = self.others.clone().into_iter().map(|issuer| (issuer, false));
        for (issuer, is_trusted) in authorities.chain(others) {
            if issuer.subject_der() != last.issuer_der() || chain.contains(&issuer) {
                continue;
            }
            if self.checks.are_used_up() {
                self.reason = Some(format!("more than {MOST_CHECKS} certificates could have issued others"));
                return false;
            }
            if let Err(error) = check_issued(last, issuer, chain) {
                self.reason = Some(error.to_string());
                continue;
            }
            chain.push(issuer);
            if is_trusted || self.extend(chain) {
                return true;
            }
            chain.pop();
        }
        if self.reason.is_none() {
            self.reason = Some(format!(
                "the certificate of {}, which issued that of {}, is missing",
                last.issuer(),
                last.subject()
            ));
        }
        false
    }
}

/// Whether `issuer` may have issued and did issue `last`, the end of a chain.
fn check_issued(last: &Certificate, issuer: &Certificate, chain: &[&Certificate]) -> Result<()> {
    let usage = issuer.usage();
    if !usage.is_authority {
        return Err(issuer.refused("it is not an authority's (CA:TRUE), but issued another"));
    }
    if usage.may_sign_certificates == Some(false) {
        return Err(issuer.refused("its key usage does not allow it to sign certificates"));
    }
    // Only authorities below it count, without those that renew themselves.
    let below = chain.iter().skip(1).filter(|below| below.subject_der() != below.issuer_der()).count();
    if usage.path_len.is_some_and(|most| below > usize::from(most)) {
        return Err(issuer.refused(format!("{below} authorities are below it, more than its path length allows")));
    }
    // With a collision, one certificate can be signed and another one used.
    if let Some(digest) = last.issuer_digest().filter(|digest| digest.is_weak()) {
        return Err(last.refused(format!("its issuer signed it with {}", digest.name())));
    }
    if last.is_signed_by(issuer)? { Ok(()) } else { Err(last.refused("the signature of its issuer is wrong")) }
}
