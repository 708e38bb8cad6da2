use std::fs;
use std::path::Path;

use crate::signature::tests::{certificate, key, openssl_in, root_hash, vector};
use crate::signature::{Certificate, Error, SignOptions, Signature, Time, Verified, Verifier, sign};

fn verify(verifier: &Verifier, name: &str) -> Result<Verified, Error> {
    verifier.verify(&root_hash(), &Signature::parse(&vector(&format!("sig/{name}"))).unwrap())
}

fn reason(result: Result<Verified, Error>) -> String {
    match result {
        Err(Error::NotTrusted { reason, .. }) => reason.unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_named_signer_is_trusted() {
    assert_eq!(verify(&Verifier::new(), "cms-keyid").unwrap_err(), Error::NoTrustedCertificate);
    let rsa = Verifier::new().signer(certificate("rsa"));
    for name in ["cms-nocerts-noattr", "cms-keyid", "smime-noattr-cert", "cms-pss", "cms-attr", "smime-nodetach"] {
        assert_eq!(verify(&rsa, name).unwrap().chain(), [certificate("rsa")], "{name}");
        // Its issuer is trusted as a signer, not as an authority.
        let others = Verifier::new().signer(certificate("ca")).signer(certificate("rsa4096"));
        let error = verify(&others, name).unwrap_err();
        assert!(matches!(error, Error::NotTrusted { reason: None, .. }), "{name}: {error:?}");
    }
    let named = "signed by certificate 6DC9B4E5BF25AECE696912BBCF51CC908EDBCC8A of issuer CN=Example verity CA, \
                 which is not trusted";
    assert_eq!(verify(&rsa, "cms-p256").unwrap_err().to_string(), named);
    // The certificate of a fingerprint has to come from somewhere.
    let by_fingerprint = Verifier::new().fingerprint(certificate("rsa").fingerprint());
    assert!(verify(&by_fingerprint, "smime-noattr-cert").is_ok());
    assert!(verify(&by_fingerprint, "cms-nocerts-noattr").is_err());
    assert!(verify(&by_fingerprint.intermediate(certificate("rsa")), "cms-nocerts-noattr").is_ok());
}

#[test]
fn every_signer_has_to_be_trusted() {
    let one = Verifier::new().signer(certificate("rsa"));
    assert!(verify(&one, "cms-two").is_err());
    assert!(verify(&one.signer(certificate("p256")), "cms-two").is_ok());
}

#[test]
fn other_content_is_refused() {
    let verifier = Verifier::new().signer(certificate("rsa"));
    let signature = |name: &str| Signature::parse(&vector(&format!("sig/{name}"))).unwrap();
    let mut other = root_hash();
    other[0] ^= 1;
    for name in ["cms-nocerts-noattr", "cms-attr", "cms-pss"] {
        let error = verifier.verify(&other, &signature(name)).unwrap_err();
        assert_eq!(error, Error::Wrong { signer: "CN=Example rsa".to_owned() }, "{name}");
    }
    assert_eq!(verifier.verify(&other, &signature("smime-nodetach")).unwrap_err(), Error::OtherContent);
    assert!(verify(&verifier, "upper").is_err());
    assert!(verify(&verifier, "newline").is_err());
    assert!(verify(&verifier, "extra/x-badsig").is_err());
    // Another certificate with the same issuer and number does not help.
    let wrong = sign(&other, &key("rsa"), &certificate("rsa"), &SignOptions::new()).unwrap();
    assert!(verifier.verify(&root_hash(), &Signature::parse(&wrong).unwrap()).is_err());
}

#[test]
fn chains_lead_to_an_authority() {
    let ca = Verifier::new().authority(certificate("ca"));
    let chain = [certificate("leaf2"), certificate("inter"), certificate("ca")];
    assert_eq!(verify(&ca, "chain-leaf2-full").unwrap().chain(), chain);
    assert_eq!(verify(&ca, "chain-leaf2-inter").unwrap().chain(), chain);
    let missing = "the certificate of CN=Example intermediate, which issued that of CN=Example leaf2, is missing";
    assert_eq!(reason(verify(&ca, "chain-leaf2-leaf")), missing);
    let ca = ca.intermediate(certificate("inter"));
    assert_eq!(verify(&ca, "chain-leaf2-leaf").unwrap().chain(), chain);
    assert!(verify(&ca, "chain-leaf2-nocerts").is_err());
    assert!(verify(&ca.intermediate(certificate("leaf2")), "chain-leaf2-nocerts").is_ok());
    // An authority in the middle is enough.
    let inter = Verifier::new().authority(certificate("inter"));
    assert_eq!(verify(&inter, "chain-leaf2-leaf").unwrap().chain(), &chain[..2]);
    assert_eq!(
        reason(verify(&inter, "smime-noattr-cert")),
        "the certificate of CN=Example verity CA, which issued that of CN=Example rsa, is missing"
    );
}

#[test]
fn a_certificate_that_is_no_authority_issues_nothing() {
    let ca = Verifier::new().authority(certificate("ca"));
    let refused = "certificate of CN=Example rsa: it is not an authority's (CA:TRUE), but issued another";
    assert_eq!(reason(verify(&ca, "extra/nonca-issuer-chain")), refused);
    let leaf = Verifier::new().authority(certificate("rsa"));
    assert_eq!(reason(verify(&leaf, "extra/nonca-issuer")), refused);
    assert!(verify(&leaf, "extra/bitflip").is_err());
}

#[test]
fn dates_are_warnings_unless_a_time_is_given() {
    let verifier = Verifier::new().signer(certificate("expired"));
    let warning = "the certificate of CN=Example expired expired at 2011-01-01T00:00:00Z.";
    assert_eq!(verify(&verifier, "c-expired").unwrap().warnings(), [warning]);
    let at = |time: &str| verify(&verifier.clone().at(time.parse().unwrap()), "c-expired");
    assert!(at("2010-01-01T00:00:00Z").unwrap().warnings().is_empty());
    assert!(at("2011-01-01T00:00:00Z").is_ok());
    let error = at("2011-01-01T00:00:01Z").unwrap_err();
    assert_eq!(
        error.to_string(),
        "certificate of CN=Example expired: valid from 2010-01-01T00:00:00Z to 2011-01-01T00:00:00Z, not at \
         2011-01-01T00:00:01Z"
    );
    assert!(at("2009-12-31T23:59:59Z").is_err());
    // Every certificate of the chain.
    let chain = Verifier::new().authority(certificate("ca")).at(Time::from_unix(1_795_696_200));
    assert!(verify(&chain, "smime-noattr-cert").is_ok(), "a minute after the leaf's begin");
    let chain = chain.at(certificate("rsa").not_before());
    assert!(verify(&chain, "smime-noattr-cert").is_ok());
    let chain = chain.at(certificate("ca").not_before());
    assert!(verify(&chain, "smime-noattr-cert").is_err(), "a second before the leaf's begin");
}

#[test]
fn weak_digests_and_short_keys_are_warnings() {
    let rsa = Verifier::new().signer(certificate("rsa"));
    for name in ["smime-md5", "smime-sha1"] {
        let digest = name.trim_start_matches("smime-");
        let warning = format!("the signature uses {digest}, for which collisions can be computed.");
        assert_eq!(verify(&rsa, name).unwrap().warnings(), [warning]);
    }
    assert_eq!(verify(&rsa, "trailing4").unwrap().warnings(), ["4 NULs follow the signature."]);
    let small = openssl_pair("rsa:1024", "-addext basicConstraints=CA:FALSE");
    let made = Made::sign(&small);
    let warnings = Verifier::new().signer(small.certificate()).verify(&root_hash(), &made).unwrap().warnings().to_vec();
    assert_eq!(warnings, ["the RSA key of CN=x has less than 2048 bits."]);
}

#[test]
fn keys_and_curves_that_are_not_supported_are_named() {
    for (name, who, what) in [
        ("cms-attr512-mldsa44", "mldsa44", "ML-DSA-44 is not supported"),
        ("hand-noattr512-mldsa87", "mldsa87", "ML-DSA-87 is not supported"),
    ] {
        let trusted = verify(&Verifier::new().signer(certificate(who)), name).unwrap_err();
        let unknown = verify(&Verifier::new().signer(certificate("rsa")), name).unwrap_err();
        assert_eq!([trusted.to_string(), unknown.to_string()], [what, what]);
    }
    assert_eq!(certificate("ed25519").key_name().unwrap_err().to_string(), "a key for Ed25519 is not supported");
    let brainpool = openssl_pair("ec -pkeyopt ec_paramgen_curve:brainpoolP256r1", "");
    assert!(matches!(brainpool.certificate().key_name(), Err(Error::Unsupported { .. })));
}

/// A key and a certificate by OpenSSL in a folder, `k` and `c`, for `CN=x`.
struct Pair(tempfile::TempDir);

struct Made;

impl Pair {
    fn certificate(&self) -> Certificate {
        Certificate::from_pem_first(&fs::read_to_string(self.0.path().join("c")).unwrap()).unwrap()
    }
}

impl Made {
    fn sign(pair: &Pair) -> Signature {
        let arguments = "cms -sign -binary -noattr -nocerts -outform der -signer c -inkey k";
        Signature::parse(&openssl_in(pair.0.path(), arguments, &root_hash()).unwrap()).unwrap()
    }
}

fn openssl_pair(key: &str, options: &str) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("req -x509 -newkey {key} -nodes -keyout k -out c -subj /CN=x -days 3650 {options}");
    openssl_in(folder.path(), &arguments, b"").expect("openssl makes a certificate");
    Pair(folder)
}

#[test]
fn rsa_keys_of_other_sizes_are_refused_in_a_moment() {
    for bits in [512, 16384] {
        let folder = tempfile::tempdir().unwrap();
        let certificate = with_modulus(folder.path(), bits);
        let started = std::time::Instant::now();
        assert_eq!(certificate.key_name().unwrap_err(), Error::RsaSize { bits });
        let verifier = Verifier::new().signer(certificate.clone());
        let renamed = renamed(&certificate);
        assert_eq!(verifier.verify(&root_hash(), &renamed).unwrap_err(), Error::RsaSize { bits });
        assert!(started.elapsed().as_secs() < 10);
    }
}

/// A certificate with a modulus of this size, without a valid signature.
fn with_modulus(folder: &Path, bits: usize) -> Certificate {
    fs::write(
        folder.join("config"),
        format!(
            "asn1=SEQUENCE:key\n[key]\nalgorithm=SEQUENCE:algorithm\nkey=BITWRAP,SEQUENCE:rsa\n\
             [algorithm]\noid=OID:rsaEncryption\n\
         null=NULL\n[rsa]\nn=INTEGER:0xC{}1\ne=INTEGER:0x10001\n",
            "5".repeat(bits / 4 - 2)
        ),
    )
    .unwrap();
    openssl_in(folder, "asn1parse -genconf config -noout -out spki", b"").unwrap();
    openssl_in(folder, "genrsa -out ca 2048", b"").unwrap();
    openssl_in(folder, "req -new -key ca -subj /CN=x -out csr", b"").unwrap();
    openssl_in(folder, "pkey -pubin -inform der -in spki -out pub", b"").unwrap();
    openssl_in(folder, "x509 -req -in csr -signkey ca -force_pubkey pub -out c -days 30", b"").unwrap();
    Certificate::from_pem_first(&fs::read_to_string(folder.join("c")).unwrap()).unwrap()
}

/// A signature whose signer is said to be this certificate.
fn renamed(certificate: &Certificate) -> Signature {
    let raw = [1; 64];
    let made = crate::signature::sign::message(certificate, &raw, &SignOptions::new()).unwrap();
    Signature::parse(&made).unwrap()
}

#[test]
fn unknown_critical_extensions_are_refused() {
    let pair = openssl_pair("ec -pkeyopt ec_paramgen_curve:P-256", "-addext 1.2.3.4=critical,DER:0500");
    let error = Verifier::new().signer(pair.certificate()).verify(&root_hash(), &Made::sign(&pair)).unwrap_err();
    assert_eq!(error.to_string(), "certificate of CN=x: critical extension 1.2.3.4 is not known");
    let pair = openssl_pair("ec -pkeyopt ec_paramgen_curve:P-256", "-addext 1.2.3.4=DER:0500");
    assert!(Verifier::new().signer(pair.certificate()).verify(&root_hash(), &Made::sign(&pair)).is_ok());
}

/// A root, an authority below it, one below that, and a signer; `options` has the extensions of each.
fn verify_chain(extensions: [&str; 4], digest: &str) -> Result<Verified, Error> {
    let folder = tempfile::tempdir().unwrap();
    let run =
        |arguments: &str| openssl_in(folder.path(), arguments, &root_hash()).unwrap_or_else(|| panic!("{arguments}"));
    for (index, extensions) in extensions.iter().enumerate() {
        fs::write(folder.path().join("config"), format!("[req]\ndistinguished_name=dn\n[dn]\n[e]\n{extensions}\n"))
            .unwrap();
        let issuer =
            index.checked_sub(1).map_or(String::new(), |issuer| format!("-CA {issuer}.crt -CAkey {issuer}.key"));
        run(&format!(
            "req -config config -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {index}.key \
             -out {index}.crt -subj /CN={index} -extensions e -days 30 -{digest} {issuer}"
        ));
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    fs::write(folder.path().join("others"), read("1.crt") + &read("2.crt")).unwrap();
    let signature = run("cms -sign -binary -noattr -outform der -signer 3.crt -inkey 3.key -certfile others");
    let root = Certificate::from_pem_first(&read("0.crt")).unwrap();
    Verifier::new().authority(root).verify(&root_hash(), &Signature::parse(&signature).unwrap())
}

#[test]
fn chains_follow_rfc_5280() {
    const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign";
    const LEAF: &str = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature";
    assert_eq!(verify_chain([CA, CA, CA, LEAF], "sha256").unwrap().chain().len(), 4);
    let limited = |most: u8| format!("basicConstraints=critical,CA:TRUE,pathlen:{most}");
    assert!(verify_chain([&limited(2), &limited(1), &limited(0), LEAF], "sha256").is_ok());
    for (extensions, part) in [
        ([&limited(1)[..], CA, CA, LEAF], "2 authorities are below it, more than its path length allows"),
        ([CA, &limited(0), CA, LEAF], "1 authorities are below it"),
        (["", CA, CA, LEAF], "CN=0: it is not an authority's"),
        ([CA, "basicConstraints=CA:FALSE", CA, LEAF], "CN=1: it is not an authority's"),
        ([CA, CA, "basicConstraints=CA:TRUE\nkeyUsage=cRLSign", LEAF], "CN=2: its key usage does not allow it to sign"),
        ([CA, CA, CA, "keyUsage=keyEncipherment"], "CN=3: its key usage does not allow signatures"),
    ] {
        let reason = reason(verify_chain(extensions, "sha256"));
        assert!(reason.contains(part), "{extensions:?}: {reason}");
    }
    let critical = [CA, CA, "basicConstraints=critical,CA:TRUE\n1.2.3.4=critical,DER:0500", LEAF];
    assert!(matches!(verify_chain(critical, "sha256"), Err(Error::Certificate { .. })));
    let reason = reason(verify_chain([CA, CA, CA, LEAF], "sha1"));
    assert!(reason.contains("its issuer signed it with sha1"), "{reason}");
}

#[test]
fn the_search_for_a_chain_ends() {
    let pair = || openssl_pair("ec -pkeyopt ec_paramgen_curve:P-256", "");
    let signer = pair();
    let mut verifier = Verifier::new().authority(pair().certificate()).intermediate(signer.certificate());
    for _ in 0..64 {
        verifier = verifier.intermediate(pair().certificate());
    }
    let reason = reason(verifier.verify(&root_hash(), &Made::sign(&signer)));
    assert_eq!(reason, "more than 64 certificates could have issued others");
}
