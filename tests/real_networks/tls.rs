//! TLS as nginx speaks it, with certificates as `openssl` makes them.

use std::fs;
use std::path::PathBuf;

use crate::authority::{Authority, Key, LOCALHOST, Subject};
use crate::nginx::{Nginx, https};
use crate::server::{Server, assert_outcomes};

/// A site over TLS, the `CA_FILE` of the server that reports to it, and what becomes of that.
type Case = (String, Option<PathBuf>, &'static str);

const UNKNOWN_CA: &str = "cause=tls error=\"its certificate is signed by an unknown CA; name the CA's file in the \
                          CA_FILE setting (invalid peer certificate: UnknownIssuer)\"";

const NOT_IN_CA_FILE: &str = "cause=tls error=\"its certificate is signed by a CA that neither this machine nor the file in \
                              CA_FILE contains; add the CA's certificate to that file; the server has to send the \
                              intermediate ones (invalid peer certificate: UnknownIssuer)\"";

/// Runs the cases at one nginx, each at a site of its own.
#[track_caller]
fn assert_cases(cases: &[Case]) -> Nginx {
    let sites: Vec<_> = cases.iter().map(|(site, ..)| ("127.0.0.1:* ssl", site.clone())).collect();
    let nginx = Nginx::start(&sites);
    assert_outcomes(cases.iter().enumerate().map(|(site, (_, ca_file, words))| {
        let server = Server::to(format!("https://localhost:{}/", nginx.port(site)));
        (ca_file.iter().fold(server, |server, file| server.trusting(file)), *words)
    }));
    nginx
}

#[test]
fn certificates_of_a_private_ca_are_trusted() {
    let (ec, rsa) = (Authority::new("Company EC CA", Key::Ec), Authority::new("Company RSA CA", Key::Rsa));
    let by_rsa = rsa.sign(Subject { key: Key::Rsa, ..LOCALHOST });
    let issuing = ec.intermediate("Company issuing CA");
    let whole_chain = issuing.sign(LOCALHOST);
    let with_issuer = [fs::read(&whole_chain.chain).unwrap(), fs::read(issuing.file()).unwrap()].concat();
    fs::write(&whole_chain.chain, with_issuer).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.pem");
    fs::write(&bundle, format!("# of the company\n{}\n\n# and\r\n{}", rsa.text(), ec.text())).unwrap();
    let alone = ec.self_signed("alone", "basicConstraints = critical,CA:FALSE");
    assert_cases(&[
        (https(&ec.sign(LOCALHOST)), Some(ec.file()), "status=200"),
        (https(&by_rsa), Some(rsa.file()), "status=200"),
        (https(&whole_chain), Some(ec.file()), "status=200"),
        (https(&whole_chain), Some(issuing.file()), "status=200"),
        (https(&by_rsa), Some(bundle.clone()), "status=200"),
        (https(&whole_chain), Some(bundle), "status=200"),
        (https(&alone), Some(alone.chain.clone()), "status=200"),
    ]);
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let company = Authority::new("Company CA", Key::Ec);
    let other = Authority::new("Other CA", Key::Ec);
    let made_anew = Authority::new("Company CA", Key::Ec);
    let sign = |subject| https(&company.sign(subject));
    let good = sign(LOCALHOST);
    let issuing = company.intermediate("Company issuing CA");
    let as_authority = company.self_signed("alone", "basicConstraints = critical,CA:TRUE");
    let with_p521 = Authority::new("P-521 CA", Key::Ec521);
    let trusted = Some(company.file());
    assert_cases(&[
        (
            https(&company.sign_version_1("version-1")),
            trusted.clone(),
            "cause=tls error=\"its certificate is of the old format X.509 v1, which cannot be verified; it has to be \
             X.509 v3, with a subjectAltName (",
        ),
        (
            https(&with_p521.sign(LOCALHOST)),
            Some(with_p521.file()),
            match cfg!(feature = "tls-aws-lc-rs") {
                true => "status=200",
                false => {
                    "cause=tls error=\"its certificate is signed by a CA with a P-521 key, which this program cannot \
                     verify; the CA needs an RSA, P-256 or P-384 key ("
                }
            },
        ),
        (good.clone(), None, UNKNOWN_CA),
        (good.clone(), Some(other.file()), NOT_IN_CA_FILE),
        (https(&issuing.sign(LOCALHOST)), trusted.clone(), NOT_IN_CA_FILE),
        (
            good,
            Some(made_anew.file()),
            "cause=tls error=\"its certificate is not signed by the CA of that name that is trusted here; is CA_FILE older \
             than the CA? (invalid peer certificate: BadSignature)\"",
        ),
        (
            sign(Subject { extensions: "subjectAltName = DNS:other.example", ..LOCALHOST }),
            trusted.clone(),
            "cause=tls error=\"its certificate is for another name; the host in the URL has to be one of the \
             certificate's names (invalid peer certificate: certificate not valid \
             for name \\\"localhost\\\"; certificate is only valid for DnsName(\\\"other.example\\\"))\"",
        ),
        (
            // openssl's answers to its own questions: a common name, and no other.
            sign(Subject { extensions: "basicConstraints = CA:FALSE", ..LOCALHOST }),
            trusted.clone(),
            "cause=tls error=\"its certificate names no host: it has no subjectAltName, and a common name does not count \
             (invalid peer certificate: certificate not valid for name \\\"localhost\\\"; certificate is not valid for any names (according to its subjectAltName \
             extension))\"",
        ),
        (
            sign(Subject { until: "20200102000000Z", ..LOCALHOST }),
            trusted.clone(),
            "cause=tls error=\"its certificate has expired, or the clock of this machine is wrong (",
        ),
        (
            sign(Subject { from: "20980102000000Z", ..LOCALHOST }),
            trusted.clone(),
            "cause=tls error=\"its certificate is not valid yet, or the clock of this machine is wrong (",
        ),
        (
            sign(Subject {
                extensions: "subjectAltName = DNS:localhost\nextendedKeyUsage = clientAuth",
                ..LOCALHOST
            }),
            trusted,
            "cause=tls error=\"its certificate lacks the extended key usage serverAuth; it has to be issued again (invalid \
             peer certificate: certificate does not allow \
             extended key usage for server authentication, allows client authentication)\"",
        ),
        (
            https(&as_authority),
            Some(as_authority.chain.clone()),
            "cause=tls error=\"its certificate is a CA's own; it has to have basicConstraints=CA:FALSE, or to \
             be signed by a CA (invalid peer certificate: Other(OtherError(CaUsedAsEndEntity)))\"",
        ),
    ]);
}

#[test]
fn an_address_is_as_good_as_a_name_where_the_certificate_has_it() {
    let company = Authority::new("Company CA", Key::Ec);
    let addresses = Subject { extensions: "subjectAltName = IP:127.0.0.1, IP:::1", ..LOCALHOST };
    let site = https(&company.sign(addresses));
    let nginx = Nginx::start(&[("127.0.0.1:* ssl", site.clone()), ("[::1]:* ssl", site)]);
    assert_outcomes(["127.0.0.1", "[::1]"].into_iter().enumerate().map(|(site, host)| {
        let server = Server::to(format!("https://{host}:{}/", nginx.port(site)));
        (server.trusting(&company.file()), "status=200")
    }));
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_older_is_told() {
    let company = Authority::new("Company CA", Key::Rsa);
    let credentials = company.sign(Subject { key: Key::Rsa, ..LOCALHOST });
    let only = |protocols: &str| {
        // Today's openssl speaks the old ones only where it is told to be careless.
        format!("{} ssl_protocols {protocols}; ssl_ciphers ALL:@SECLEVEL=0;", https(&credentials))
    };
    let without_secrecy = format!("{} ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA;", https(&credentials));
    let too_old = "cause=tls error=\"it supports TLS 1.1 at most; TLS 1.2 or 1.3 is needed (received fatal alert: \
                   ProtocolVersion)\"";
    let ca_file = Some(company.file());
    let nginx = assert_cases(&[
        (only("TLSv1.2"), ca_file.clone(), "status=200"),
        (only("TLSv1.3"), ca_file.clone(), "status=200"),
        (only("TLSv1.1"), ca_file.clone(), too_old),
        (only("TLSv1"), ca_file.clone(), too_old),
        (
            without_secrecy,
            ca_file,
            "cause=tls error=\"it has no cipher in common with this server, or asks for a client certificate (received \
             fatal alert: HandshakeFailure)\"",
        ),
    ]);
    for version in ["TLSv1.2", "TLSv1.3"] {
        let by_version = format!(" tls={version}");
        let requests = nginx.wait_for_requests(2, |line| line.ends_with(&by_version));
        assert_eq!(requests, 2, "`begin` and `end` by {version}");
    }
}

#[test]
fn a_client_certificate_that_nginx_asks_for_is_missed_by_status_400() {
    let company = Authority::new("Company CA", Key::Ec);
    let asking = |protocols: &str| {
        let (site, ca) = (https(&company.sign(LOCALHOST)), company.file());
        format!(
            "{site} ssl_protocols {protocols}; ssl_verify_client on; ssl_client_certificate {};",
            ca.display()
        )
    };
    assert_cases(&[
        (asking("TLSv1.2"), Some(company.file()), "status=400"),
        (asking("TLSv1.3"), Some(company.file()), "status=400"),
    ]);
}
