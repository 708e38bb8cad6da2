//! HTTPS: who is trusted.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::command::{Ended, Image};
use crate::server::Server;

fn openssl(image: &Image, line: &str) {
    let output = Command::new("openssl").args(line.split(' ')).current_dir(image.directory()).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority in `ca.pem`, and a certificate of it for this machine.
fn certificates(image: &Image) {
    let extensions = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    fs::write(image.path("extensions"), extensions).expect("writable");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(image, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
    openssl(image, &format!("req {key} -keyout key.pem -out request.pem -subj /CN=server"));
    openssl(
        image,
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile extensions",
    );
}

fn config(directory: &Path) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(directory.join("cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
        .expect("a configuration")
}

#[test]
fn an_authority_has_to_be_trusted() {
    let image = Image::new(600, &[]);
    certificates(&image);
    let server = Server::over_tls(config(image.directory()));
    let [data, hash] = ["data.img", "hash.img"].map(|name| server.put(&image.path(name)));
    let run = |authorities: &str, data: &str| {
        let mut command = image.command(&["verify", data, &hash, &image.root_hash]);
        let command = command.env("SSL_CERT_FILE", image.path(authorities)).env_remove("SSL_CERT_DIR");
        Ended::of(&command.output().expect("it runs"))
    };
    run("ca.pem", &data).expect(0, "");
    let before = server.requests();
    // Another authority of the same name, another name of the server, and none at all.
    let other = Image::new(8, &[]);
    certificates(&other);
    fs::copy(other.path("ca.pem"), image.path("other.pem")).expect("writable");
    run("other.pem", &data)
        .expect(4, "the server's certificate is not trusted")
        .expect(4, "name a file with its certificate in SSL_CERT_FILE");
    run("ca.pem", &data.replace("127.0.0.1", "localhost")).expect(4, "the server's certificate is not trusted");
    fs::write(image.path("none.pem"), "").expect("writable");
    run("none.pem", &data).expect(4, "no certificates of authorities were found on this system");
    assert!(server.requests() <= before + 2, "the hash device alone may have been asked for");
}
