//! Connection setup: proxies, certificate authorities, and the faults that no retry repairs.
//!
//! Proxies come from `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, as reqwest reads them. Authorities are those of the system (or of
//! `SSL_CERT_FILE` and `SSL_CERT_DIR`), and [`Authorities`] in addition.

use std::error::Error as StdError;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use url::Url;

use super::transport::chain;

/// Certificate authorities that are trusted in addition to the system's.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads PEM text. Sections other than certificates are skipped.
    ///
    /// # Errors
    /// The reason why the text is not a list of certificates.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let certificates = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| format!("the PEM text cannot be read: {}", pem_fault(&e)))?;
        if certificates.is_empty() {
            return Err("it contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)".to_owned());
        }
        let mut roots = rustls::RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|e| format!("a certificate cannot be used: {e}"))?;
        }
        Ok(Self(certificates))
    }

    /// The certificates in reqwest's type.
    pub(super) fn certificates(&self) -> reqwest::Result<Vec<reqwest::Certificate>> {
        self.0.iter().map(|der| reqwest::Certificate::from_der(der)).collect()
    }
}

/// Why a PEM text cannot be read. The text of the library has lines of the file, and another file may have a secret in them.
fn pem_fault(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "a section has no end (-----END …-----)",
        PemError::IllegalSectionStart { .. } => "the first line of a section is not valid",
        PemError::Base64Decode(_) => "a section is not valid base64",
        _ => "it is not valid PEM",
    }
}

/// Whether an address is on this machine. Such an address is never reached through a proxy.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A fault of the configuration or of the connection to Box: the same call fails again until an operator changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionFault {
    /// The server's certificate is not trusted: unknown authority, wrong host name, expired.
    Certificate,
    /// The proxy requires a user name and a password (407).
    ProxyAuthentication,
    /// The request cannot be built, for example because a header would contain control characters.
    Request,
}

/// The fault behind a failed exchange, with a sentence about it; `None`: another attempt may succeed.
pub(super) fn fault(error: &reqwest::Error) -> Option<(ConnectionFault, String)> {
    let host = error.url().and_then(Url::host_str).unwrap_or("the server").to_owned();
    if let Some(refused) = find::<rustls::Error>(error).filter(|error| is_about_certificates(error)) {
        let sentence = format!("the TLS certificate of {host} is not accepted ({refused})");
        return Some((ConnectionFault::Certificate, sentence));
    }
    if is_tunnel_failure(error) && chain(error).contains("proxy authorization required") {
        return Some((ConnectionFault::ProxyAuthentication, PROXY_AUTHENTICATION.to_owned()));
    }
    // The error describes the form of a value and does not contain the value, so it is safe to show.
    error
        .is_builder()
        .then(|| (ConnectionFault::Request, format!("the request cannot be built: {}", chain(error))))
}

/// The meaning of status 407.
pub(super) const PROXY_AUTHENTICATION: &str = "the proxy requires a user name and a password (status 407)";

/// Whether the connection failed at the proxy and not at Box.
pub(super) fn is_tunnel_failure(error: &reqwest::Error) -> bool {
    // hyper-util does not export the type of this error.
    chain(error).contains("tunnel error")
}

fn is_about_certificates(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
}

/// The first error of a type among an error and its causes. An [`std::io::Error`] does not list the error that it wraps among its
/// causes, so the wrapped error is checked separately.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (url, is_here) in [
            ("http://127.0.0.1:8808/2.0", true),
            ("https://127.9.9.9/2.0", true),
            ("http://[::1]:8808/2.0", true),
            ("http://LOCALHOST/2.0", true),
            ("http://localhost.acme.test/2.0", false),
            ("https://api.box.com/2.0", false),
            ("http://10.0.0.7/2.0", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), is_here, "{url}");
        }
    }

    #[test]
    fn a_file_without_a_usable_certificate_is_refused() {
        for text in ["", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"] {
            assert!(
                Authorities::from_pem(text.as_bytes()).unwrap_err().contains("no certificate"),
                "{text:?}"
            );
        }
        let not_one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(Authorities::from_pem(not_one.as_bytes()).unwrap_err().contains("cannot be used"));
        // Text of the file is not in the error, also not as a list of bytes: 90 is "Z".
        for text in [
            "-----BEGIN CERTIFICATE-----\n!\n",
            "-----BEGIN ZZZ-----\nAAAA\n",
            "-----BEGIN ZZZ\nAAAA\n",
            "-----BEGIN CERTIFICATE-----\n!ZZZ\n-----END CERTIFICATE-----\n",
        ] {
            let error = Authorities::from_pem(text.as_bytes()).unwrap_err();
            assert!(!error.contains("ZZ") && !error.contains("90"), "{text:?}: {error}");
        }
    }

    /// Why: the error that an I/O error wraps is not among its causes, so an unknown authority counted as a network fault.
    #[test]
    fn an_error_inside_io_errors_is_found() {
        let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = std::io::Error::other(std::io::Error::other(inner));
        assert!(find::<rustls::Error>(&wrapped).is_some_and(is_about_certificates));
        assert!(find::<rustls::Error>(&std::io::Error::from(std::io::ErrorKind::TimedOut)).is_none());
    }
}
