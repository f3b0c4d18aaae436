//! The connection to Box: proxies and certificate authorities.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use boxseat_simulator::Config;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{Done, World, bare, finish};

const AUTHORITY: &str = include_str!("fixtures/certificates/authority.pem");
const KEY: &str = include_str!("fixtures/certificates/server.key.pem");
const LOCALHOST: &str = include_str!("fixtures/certificates/localhost.pem");
const OTHER_HOST: &str = include_str!("fixtures/certificates/other.pem");
const EXPIRED: &str = include_str!("fixtures/certificates/expired.pem");

fn small() -> Config {
    Config { users: 40, groups: 4, logins: Some(200), seed: 5, late_events: 0.0, ..Config::default() }
}

/// A proxy that answers every request in one way and counts them.
struct Proxy {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Proxy {
    fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                head(&mut stream);
                // The client may have disconnected.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn url(&self, user: &str) -> String {
        format!("http://{user}127.0.0.1:{}", self.port)
    }
}

const PASSWORD_REQUIRED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"acme\"\r\ncontent-length: 0\r\n\r\n";

/// The head of a request, up to the empty line.
fn head(stream: &mut impl Read) -> Vec<u8> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    head
}

/// An https address on this machine that forwards each request to the simulator; returns its port.
fn https_in_front_of(world: &World, certificate: &str) -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (config, address) = (Arc::new(config), world.simulator.address().to_string());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, address) = (Arc::clone(&config), address.clone());
            std::thread::spawn(move || pass_on(stream.unwrap(), config, &address));
        }
    });
    port
}

/// One request of a connection. A client that does not accept the certificate disconnects during the handshake.
fn pass_on(stream: TcpStream, config: Arc<rustls::ServerConfig>, simulator: &str) {
    let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), stream);
    let request = head(&mut tls);
    if request.is_empty() {
        return;
    }
    let text = String::from_utf8(request).unwrap();
    let length =
        text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    tls.read_exact(&mut body).unwrap();
    let mut upstream = TcpStream::connect(simulator).unwrap();
    upstream.write_all(text.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).unwrap();
    upstream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).unwrap();
    tls.write_all(&answer).unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
}

fn https(world: &World, port: u16, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command
        .env("BOXSEAT_API_URL", format!("https://localhost:{port}/2.0"))
        .env("BOXSEAT_TOKEN_URL", format!("https://localhost:{port}/oauth2/token"));
    command
}

/// A command that must use a proxy, because no resolver knows the host.
fn beyond(world: &World, proxy: &str, args: &[&str]) -> Done {
    let mut command = world.command(args);
    command
        .env("BOXSEAT_API_URL", "https://box.invalid/2.0")
        .env("BOXSEAT_TOKEN_URL", "https://box.invalid/oauth2/token")
        .env("BOXSEAT_BOX_ALLOW_HOSTS", "[\"box.invalid\"]")
        .env_remove("BOXSEAT_NOW")
        .env("HTTPS_PROXY", proxy);
    finish(command.output().unwrap())
}

#[track_caller]
fn assert_configuration(done: &Done, words: &[&str]) {
    let said = format!("{}{}", done.stdout, done.stderr);
    assert_eq!(done.code, 2, "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
}

/// Why: with `http_proxy` set, the credentials of a rehearsal went to the proxy in clear text, and the demo never started.
#[test]
fn loopback_never_goes_through_a_proxy() {
    let world = World::new(small());
    let proxy = Proxy::answering(PASSWORD_REQUIRED);
    let with_proxies = |mut command: Command| {
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(name, proxy.url(""));
        }
        let done = finish(command.output().unwrap());
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    };
    for args in [&["check"][..], &["sync"], &["verify", "--live", "2"]] {
        with_proxies(world.command(args));
    }
    let demo = world.directory().join("demo");
    with_proxies(bare(
        &["--store", demo.to_str().unwrap(), "demo", "--nights", "1", "--users", "60"],
        world.directory(),
    ));
    let authority = world.directory().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    let mut check = https(&world, https_in_front_of(&world, LOCALHOST), &["check"]);
    check.env("SSL_CERT_FILE", &authority);
    with_proxies(check);
    assert_eq!(proxy.requests(), 0);
}

/// Why: a certificate that is not trusted was retried for 15 minutes and ended with "try again later".
#[test]
fn a_certificate_that_is_not_trusted_fails_at_once_and_names_the_remedy() {
    let world = World::new(small());
    let authority = world.directory().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    for (certificate, is_known, reason) in
        [(LOCALHOST, false, "UnknownIssuer"), (OTHER_HOST, true, "other.test"), (EXPIRED, true, "expired")]
    {
        let port = https_in_front_of(&world, certificate);
        for args in [&["sync"][..], &["check"]] {
            let mut command = https(&world, port, args);
            if is_known {
                command.env("BOXSEAT_BOX_CA_FILE", &authority);
            }
            let done = finish(command.output().unwrap());
            assert_configuration(
                &done,
                &["certificate of localhost", reason, "SSL_CERT_FILE", "[box] ca_file"],
            );
        }
    }
    assert_eq!(world.simulator.counts().calls, 0);
}

/// A relative path is relative to the configuration file, wherever the command starts.
#[test]
fn ca_file_names_further_authorities() {
    let world = World::new(small());
    let configs = world.directory().join("etc");
    std::fs::create_dir(&configs).unwrap();
    std::fs::write(configs.join("authority.pem"), AUTHORITY).unwrap();
    let config = configs.join("boxseat.toml");
    std::fs::write(&config, "[box]\nca_file = \"authority.pem\"\n").unwrap();
    let port = https_in_front_of(&world, LOCALHOST);
    let run =
        |args: &[&str]| finish(https(&world, port, args).env("BOXSEAT_CONFIG", &config).output().unwrap());
    let done = run(&["sync"]);
    assert_eq!(done.code, 0, "{}", done.stderr);

    std::fs::write(configs.join("authority.pem"), KEY).unwrap();
    assert_configuration(&run(&["sync"]), &["[box] ca_file = ", "authority.pem", "no certificate"]);
    std::fs::remove_file(configs.join("authority.pem")).unwrap();
    assert_configuration(&run(&["sync"]), &["[box] ca_file = ", "cannot be read", "No such file"]);
}

/// Why: a 407 was retried for 15 minutes. A proxy password must not be printed at any log level.
#[test]
fn a_proxy_that_wants_a_password_fails_at_once_and_no_password_is_printed() {
    let world = World::new(small());
    let proxy = Proxy::answering(PASSWORD_REQUIRED);
    let done = beyond(&world, &proxy.url(""), &["sync"]);
    assert_configuration(
        &done,
        &["the proxy requires a user name and a password", "HTTPS_PROXY=http://USER:PASSWORD@"],
    );
    assert_eq!(proxy.requests(), 1);

    let done = beyond(&world, &proxy.url("bob:wr0ng-s3cret@"), &["-vvv", "check"]);
    assert_configuration(&done, &["the proxy requires a user name and a password"]);
    let said = done.stdout + &done.stderr;
    // The second is the same in the encoding of Basic authentication.
    for secret in ["wr0ng-s3cret", "Ym9iOndyMG5nLXMzY3JldA"] {
        assert!(!said.contains(secret), "{said}");
    }
}

/// Why: "Box is down" sends an operator to the wrong place.
#[test]
fn a_proxy_that_is_down_is_named() {
    let world = World::new(small());
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let done =
        beyond(&world, &format!("http://bob:wr0ng-s3cret@127.0.0.1:{port}"), &["sync", "--deadline", "2s"]);
    assert_eq!(done.code, 75, "{}", done.stderr);
    let done = beyond(
        &world,
        &format!("http://bob:wr0ng-s3cret@127.0.0.1:{port}"),
        &["-v", "sync", "--deadline", "1s"],
    );
    assert!(done.stderr.contains("no connection through the proxy"), "{}", done.stderr);
    assert!(!done.stderr.contains("wr0ng"), "{}", done.stderr);
}
