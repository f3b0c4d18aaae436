//! Errors of commands: what failed, what to do, and the exit code.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::path::Path;

use boxseat_output as output;
use boxseat_pipeline as pipeline;
use boxseat_pipeline::client::{ConnectionFault, JwtRefusal, SignInFault};
use boxseat_storage::lock::LockError;

/// 1: it failed.
pub(crate) const FAILED: u8 = 1;
/// 2: usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// 3: refused by a guard; the published snapshot stays.
pub(crate) const REFUSED: u8 = 3;
/// 4: done, with rejected rows.
pub(crate) const REJECTS: u8 = 4;
/// 75: try again later (`EX_TEMPFAIL` of sysexits).
pub(crate) const TRY_LATER: u8 = 75;
/// 130: interrupted (128 + SIGINT).
pub(crate) const INTERRUPTED: u8 = 130;

/// A failure of a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    what: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hints: Vec<String>,
    code: u8,
    is_machine_failure: bool,
}

impl CommandError {
    fn new(code: u8, what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None, hints: Vec::new(), code, is_machine_failure: false }
    }

    /// An unexpected failure.
    pub(crate) fn failed(what: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..Self::new(FAILED, what) }
    }

    /// Usage or configuration is wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(USAGE, what)
    }

    /// A guard refused.
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::new(REFUSED, what)
    }

    /// The same command may succeed later.
    pub(crate) fn try_later(what: impl Into<String>) -> Self {
        Self::new(TRY_LATER, what)
    }

    /// A signal stopped the command.
    pub(crate) fn interrupted(what: impl Into<String>) -> Self {
        Self::new(INTERRUPTED, what)
    }

    /// A file of the store cannot be read. A file that is not regular was created by another program.
    pub(crate) fn unreadable(path: &Path, error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::IsADirectory => {
                Self::refused(format!("{} {error}", path.display())).hint(REMEDY)
            }
            _ => Self::failed(format!("cannot read {}", path.display()), error),
        }
    }

    /// A lock file cannot be taken. `taken` is the message if another process holds the lock.
    pub(crate) fn not_locked(path: &Path, taken: &str, error: LockError) -> Self {
        let cannot = |action: &str, e| Self::failed(format!("cannot {action} {}", path.display()), e);
        match error {
            LockError::Held { holder } => {
                let holder = if holder.is_empty() { holder } else { format!(": {holder}") };
                Self::try_later(format!("{taken}{holder}"))
                    .hint("start again when it has ended; a cron job can wait for its next start")
            }
            LockError::Link(e) => {
                cannot("open", e).hint("it is a symbolic link, which boxseat does not create: remove it")
            }
            LockError::NotRegular => {
                Self::refused(format!("{} is not a regular file with one name", path.display()))
                    .hint("boxseat did not create it: remove it")
            }
            LockError::Open(e) => {
                cannot("open", e).hint("the store must be writable for the user that runs boxseat")
            }
            LockError::Lock(e) => cannot("lock", e),
        }
    }

    /// A directory of the store is still open to other users of this machine.
    pub(crate) fn not_closed(error: boxseat_storage::Error) -> Self {
        match error {
            boxseat_storage::Error::Io { path, source, .. } => {
                Self::failed(format!("cannot close {} to others", path.display()), source)
            }
            other => other.into(),
        }
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the cause.
    pub(crate) fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Whether the same work may succeed later: the machine failed (disk, permissions, open files), the lake was altered, or an
    /// operator stopped the command.
    pub(crate) fn is_external_failure(&self) -> bool {
        self.is_machine_failure
            || self.code == INTERRUPTED
            || self.source.as_deref().is_some_and(|error| is_system_failure(error))
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.code
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The message and its causes, one line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.what.clone()];
        let mut cause: Option<&(dyn StdError + 'static)> = self.source.as_ref().map(|e| &**e as _);
        while let Some(error) = cause {
            let text = error.to_string();
            if !lines.contains(&text) {
                lines.push(text);
            }
            cause = error.source();
        }
        lines
    }
}

impl From<pipeline::Error> for CommandError {
    fn from(error: pipeline::Error) -> Self {
        use pipeline::ErrorKind;
        // The rows of the base run are read from the lake, whose error is more exact.
        let error = match error {
            pipeline::Error::Base { source } => match source.downcast::<output::Error>() {
                Ok(of_the_lake) => return Self::from(*of_the_lake),
                Err(source) => pipeline::Error::Base { source },
            },
            other => other,
        };
        let code = match error.kind() {
            ErrorKind::Configure => USAGE,
            ErrorKind::TryLater => TRY_LATER,
            ErrorKind::Refused => REFUSED,
            ErrorKind::Interrupted => INTERRUPTED,
            _ => FAILED,
        };
        let hint = match &error {
            pipeline::Error::SignIn { fault, .. } => Some(sign_in_hint(*fault).to_owned()),
            pipeline::Error::Denied { endpoint, .. } => Some(scope_hint(endpoint)),
            pipeline::Error::GaveUp { garbled: false, .. } | pipeline::Error::Throttled { .. } => {
                Some("what was read is kept; the next start continues from here".to_owned())
            }
            pipeline::Error::GaveUp { garbled: true, .. } | pipeline::Error::Rejected { .. } => Some(
                "a proxy or gateway may have answered in place of Box; what was read is kept, the next start continues from here".to_owned(),
            ),
            pipeline::Error::Connection { fault, .. } => Some(connection_hint(*fault).to_owned()),
            pipeline::Error::Address { .. } => Some(
                "SSL_CERT_FILE and SSL_CERT_DIR, if set, must name certificates that exist".to_owned(),
            ),
            pipeline::Error::IncompleteWalk { .. } => {
                Some("nothing was published, the published snapshot stays; the next start reads everything again".to_owned())
            }
            pipeline::Error::Guard(refusal) => Some(refusal.hint().to_owned()),
            pipeline::Error::Seal { .. } => Some(SEAL_HINT.to_owned()),
            pipeline::Error::Spool { path, .. } => Some(format!(
                "move {} away and start again: the run is then read from the beginning",
                path.parent().unwrap_or(path).display()
            )),
            _ => None,
        };
        let mut command = Self::new(code, error.to_string());
        command.is_machine_failure = error.kind() == ErrorKind::Disk || is_system_failure(&error);
        command.hints.extend(hint);
        command.source = match error {
            pipeline::Error::Io { source, .. } => Some(Box::new(source)),
            pipeline::Error::Page { source, .. } => Some(Box::new(source)),
            _ => None,
        };
        command
    }
}

/// What to do about an altered store.
pub(crate) const REMEDY: &str = "restore the store from a backup (`boxseat restore`), or run `boxseat repair`, which keeps what the raw pages and the published file still prove";

/// What to do about a seal that cannot be read.
pub(crate) const SEAL_HINT: &str = "restore the file from a backup. Without a backup: if the run is unfinished (`boxseat status` lists them), remove its SEALED file, and the next start completes the reading; if the run is complete, move its spool directory away: the lake is not affected, but `replay` cannot use that run";

/// Whether the operating system refused something (no space, no permission, an I/O error, too many open files). Such a failure does
/// not mean that the data is wrong. [`std::io::Error::source`] skips the wrapped error itself, so the wrapped error is read here.
fn is_system_failure(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.raw_os_error().is_some()) {
            return true;
        }
        next = match io.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    false
}

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

impl From<boxseat_storage::Error> for CommandError {
    fn from(error: boxseat_storage::Error) -> Self {
        Self::from(output::Error::from(error))
    }
}

impl From<output::Error> for CommandError {
    fn from(error: output::Error) -> Self {
        use output::ErrorKind;
        // The errors of Delta and Parquet do not distinguish a full disk from damage.
        let kind = if is_system_failure(&error) { ErrorKind::Io } else { error.kind() };
        let (code, hint) = match kind {
            ErrorKind::Input => (USAGE, None),
            ErrorKind::Taken => (TRY_LATER, Some("another host is using this lake; start again later")),
            ErrorKind::Passed => (
                REFUSED,
                Some(
                    "another host has written a later run to this lake; only one may write: use one store per lake",
                ),
            ),
            ErrorKind::CheckFailed => (
                REFUSED,
                Some("the published snapshot stays; the spool is kept, so no data is lost: please report it"),
            ),
            ErrorKind::Altered => (REFUSED, Some(REMEDY)),
            ErrorKind::Newer => (USAGE, Some("use the boxseat version that wrote it, or a newer one")),
            ErrorKind::Foreign => (
                REFUSED,
                Some(
                    "run `boxseat publish`: it builds the file again from the lake; open the file with `duckdb -readonly`",
                ),
            ),
            ErrorKind::Io => (
                FAILED,
                Some(
                    "check free space and permissions of the store; what was read is kept, the next start continues from here",
                ),
            ),
            ErrorKind::Corrupt => (FAILED, Some(REMEDY)),
            _ => (FAILED, None),
        };
        let hint = match &error {
            output::Error::NotPublished(_) => {
                Some("if the store has a complete run, `boxseat publish` builds the file again from the lake")
            }
            _ => hint,
        };
        let what = error.altered().map_or_else(|| error.to_string(), ToString::to_string);
        let mut command = Self::new(code, what);
        // Damage of the lake does not mean that the raw pages of the run are wrong.
        command.is_machine_failure = matches!(kind, ErrorKind::Io | ErrorKind::Altered);
        command.hints.extend(hint.map(str::to_owned));
        if let output::Error::Ask { hint, .. } = &error {
            command.hints.extend(hint.clone());
        }
        command.source = if kind == ErrorKind::Altered { None } else { into_source(error) };
        command
    }
}

/// The cause of an error. Its own text is already the message.
fn into_source(error: output::Error) -> Option<Box<dyn StdError + Send + Sync>> {
    use output::Error;
    Some(match error {
        // DuckDB's text is complete; its source is always "Unknown error code".
        Error::Query(source) | Error::Duckdb { source, .. } => source.to_string().into(),
        Error::Io { source, .. } => Box::new(source),
        Error::Store { source, .. } => Box::new(source),
        Error::Table { source, .. } => source,
        Error::Parquet { source, .. } => Box::new(source),
        Error::Rows { source, .. } => source,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Error as Io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the layer above")]
    struct Layer(#[source] Box<dyn StdError + Send + Sync>);

    /// Why: a full disk, wrapped in two errors of the lake, counted as a failed load, and a sealed run was discarded.
    #[test]
    fn full_disk_is_a_system_failure_at_any_depth() {
        let full = || Io::from_raw_os_error(28);
        for error in [full(), Io::other(full()), Io::other(Layer(Box::new(Io::other(full()))))] {
            assert!(is_system_failure(&error), "{error:?}");
            assert!(is_system_failure(&Layer(Box::new(error))));
        }
        for error in
            [Io::from(std::io::ErrorKind::UnexpectedEof), Io::other("wrong"), Io::other(Layer("x".into()))]
        {
            assert!(!is_system_failure(&error), "{error:?}");
        }
        let command = CommandError::failed("cannot", Layer(Box::new(full())));
        assert!(command.is_external_failure() && command.exit_code() == FAILED);
    }
}
