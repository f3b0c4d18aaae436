//! What an operator can do about a failure of this crate.

use crate::client::{ConnectionFault, JwtRefusal, SignInFault};
use crate::error::Error;

impl Error {
    /// What to do, if there is more to say than the message.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::SignIn { fault, .. } => Some(sign_in_hint(*fault).to_owned()),
            Self::Denied { endpoint, .. } => Some(scope_hint(endpoint)),
            Self::GaveUp { garbled: false, .. } | Self::Throttled { .. } => {
                Some("what was read is kept; the next start continues from here".to_owned())
            }
            Self::GaveUp { garbled: true, .. } | Self::Rejected { .. } => Some(
                "a proxy or gateway may have answered in place of Box; what was read is kept, the next start continues from here".to_owned(),
            ),
            Self::Connection { fault, .. } => Some(connection_hint(*fault).to_owned()),
            Self::Address { .. } => Some(
                "SSL_CERT_FILE and SSL_CERT_DIR, if set, must name certificates that exist".to_owned(),
            ),
            Self::IncompleteWalk { .. } => {
                Some("nothing was published, the published snapshot stays; the next start reads everything again".to_owned())
            }
            Self::Guard(refusal) => Some(refusal.hint().to_owned()),
            Self::Seal { .. } => Some(SEAL_HINT.to_owned()),
            Self::Spool { path, .. } => Some(format!(
                "move {} away and start again: the run is then read from the beginning",
                path.parent().unwrap_or(path).display()
            )),
            _ => None,
        }
    }
}

/// What to do about a seal that cannot be read.
pub const SEAL_HINT: &str = "restore the file from a backup. Without a backup: if the run is unfinished (`boxseat status` lists them), remove its SEALED file, and the next start completes the reading; if the run is complete, move its spool directory away: the lake is not affected, but `replay` cannot use that run";

/// The step in Box's consoles after a refused sign-in.
fn sign_in_hint(fault: SignInFault) -> &'static str {
    match fault {
        SignInFault::Unspecified => {
            "check BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET and BOXSEAT_ENTERPRISE_ID (or BOXSEAT_TOKEN), and in the Box admin console that the app is authorised; after any change in the developer console it must be authorised again"
        }
        SignInFault::Jwt(JwtRefusal::NotAuthorised) => {
            "submit the application in the Box developer console, tab Authorization, \"Review and Submit\"; then an administrator authorises it in the Admin Console: Integrations, Platform Apps Manager, Server Authentication Apps. After any change in the developer console it must be authorised again"
        }
        SignInFault::Jwt(JwtRefusal::NotForJwt) => {
            "the application was created for another kind of sign-in, which cannot be changed: in the Box developer console, create a platform app with \"Server Authentication (with JWT)\", or use client credentials (BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET, BOXSEAT_ENTERPRISE_ID)"
        }
        SignInFault::Jwt(JwtRefusal::Client) => {
            "compare boxAppSettings.clientID and clientSecret of the JWT configuration with the Box developer console: tab Configuration of the application, section \"OAuth 2.0 Credentials\""
        }
        SignInFault::Jwt(JwtRefusal::Subject) => {
            "compare enterpriseID of the JWT configuration with the Box developer console, tab General Settings. A user as subject also needs \"App + Enterprise Access\" and \"Generate user access tokens\" in tab Configuration, and the application must be authorised again after the change"
        }
        SignInFault::Jwt(JwtRefusal::Key) => {
            "in the Box developer console, tab Configuration of the application, section \"Add and Manage Public Keys\" must list the key of boxAppSettings.appAuth.publicKeyID. If it does not: \"Generate a Public/Private Keypair\" downloads a new file"
        }
        SignInFault::Jwt(JwtRefusal::Clock) => {
            "set this machine's clock, for example with NTP: Box accepts an assertion for one minute, and refused it also with the time of its own response"
        }
        SignInFault::Jwt(JwtRefusal::Reused) => {
            "start again; if it happens again, a proxy may send requests twice"
        }
        SignInFault::Jwt(JwtRefusal::Other) => {
            "check the application in the Box developer console: tab Configuration (\"Server Authentication (with JWT)\", \"App + Enterprise Access\", and the key of publicKeyID in \"Add and Manage Public Keys\"), and tab Authorization; after any change an administrator must authorise it again in the Admin Console"
        }
    }
}

/// What to change so that a connection can be made.
fn connection_hint(fault: ConnectionFault) -> &'static str {
    match fault {
        ConnectionFault::Certificate => {
            "if a proxy inspects TLS with its own authority, put that authority's certificate into a PEM file and name the file: [box] ca_file in boxseat.toml, or SSL_CERT_FILE in the environment; an expired certificate may also mean that this machine's clock is wrong"
        }
        ConnectionFault::ProxyAuthentication => {
            "put user and password into the proxy's address, HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, with special characters percent-encoded; NO_PROXY names hosts to reach directly"
        }
        ConnectionFault::Request => "check the credentials and the addresses for control characters",
    }
}

/// What to tick in Box's console for access to an endpoint.
fn scope_hint(endpoint: &str) -> String {
    let tick = match endpoint {
        "GET /events" => {
            "\"Manage enterprise properties\", and give the account \"Run new reports and access existing reports\""
        }
        "GET /groups" | "GET /groups/{id}/memberships" | "GET /users/{id}/memberships" => "\"Manage groups\"",
        _ => "\"Manage users\"",
    };
    format!(
        "in the Box developer console set the app's access to \"App + Enterprise Access\" and tick {tick}; then have an admin authorise the app again"
    )
}
