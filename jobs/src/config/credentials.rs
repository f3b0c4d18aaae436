//! Credentials: from the environment, from files that the environment names, or from the directory of systemd's `LoadCredential`.
//! Never from flags, because `ps` shows them.
//!
//! A file of `$CREDENTIALS_DIRECTORY` has the name of its variable in lower case with hyphens: `boxseat-client-secret` is read as
//! `BOXSEAT_CLIENT_SECRET`, and `boxseat-jwt-config` as the file that `BOXSEAT_JWT_CONFIG` would name. A variable outranks the file of
//! the same name.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use boxseat_pipeline::client::{Credentials, JwtApplication, JwtConfigFault, KeyFault};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::variable_os;
use crate::error::CommandError;

/// The names of one application's credentials.
struct Names {
    client_id: &'static str,
    client_secret: &'static str,
    jwt_config: &'static str,
    jwt_user_id: &'static str,
}

const READING: Names = Names {
    client_id: "BOXSEAT_CLIENT_ID",
    client_secret: "BOXSEAT_CLIENT_SECRET",
    jwt_config: "BOXSEAT_JWT_CONFIG",
    jwt_user_id: "BOXSEAT_JWT_USER_ID",
};

const ACTING: Names = Names {
    client_id: "BOXSEAT_ACTIONS_CLIENT_ID",
    client_secret: "BOXSEAT_ACTIONS_CLIENT_SECRET",
    jwt_config: "BOXSEAT_ACTIONS_JWT_CONFIG",
    jwt_user_id: "BOXSEAT_ACTIONS_JWT_USER_ID",
};

const TOKEN: &str = "BOXSEAT_TOKEN";
const ENTERPRISE_ID: &str = "BOXSEAT_ENTERPRISE_ID";
pub(super) const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Every file that the environment names for credentials, and the directory of systemd with its files, each with its description.
/// Unset variables add nothing, and neither does a directory that cannot be read.
pub(super) fn files() -> Vec<(&'static str, PathBuf)> {
    files_of(variable_os)
}

fn files_of(variable: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, PathBuf)> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    let secrets = [TOKEN, READING.client_secret, ACTING.client_secret]
        .into_iter()
        .filter_map(|name| Some(("a file with a secret", path(&format!("{name}_FILE"))?)));
    let configurations = [READING.jwt_config, ACTING.jwt_config]
        .into_iter()
        .filter_map(|name| Some(("a JWT configuration", path(name)?)));
    let directory = path(CREDENTIALS_DIRECTORY);
    let entries = directory.iter().filter_map(|path| std::fs::read_dir(path).ok()).flatten().flatten();
    // The files, too: a link in the directory can lead to another place.
    let loaded = entries.map(|entry| entry.path()).chain(directory.clone());
    secrets.chain(configurations).chain(loaded.map(|path| ("a credential of systemd", path))).collect()
}

/// Whether any of the reading credentials is set.
pub(crate) fn has_credentials() -> bool {
    let Names { client_id, client_secret, jwt_config, .. } = READING;
    [TOKEN, client_id, client_secret, ENTERPRISE_ID, jwt_config].iter().any(|name| is_set(name))
}

/// The reading credentials.
///
/// # Errors
/// Exit 2, naming the variable or the file: no credentials, several kinds at once, an incomplete kind, or an invalid value.
pub(crate) fn credentials() -> Result<Credentials, CommandError> {
    let Names { client_id, client_secret, jwt_config, .. } = READING;
    let is_client = is_set(client_id) || is_set(client_secret);
    match (is_set(jwt_config), is_set(TOKEN), is_client || is_set(ENTERPRISE_ID)) {
        (true, true, _) => Err(CommandError::usage(format!(
            "both a developer token ({}) and a JWT configuration ({}) are set",
            place(TOKEN),
            place(jwt_config)
        ))
        .hint("unset one of them; a developer token is valid for one hour")),
        (true, false, _) if is_client => Err(two_kinds(&READING)),
        (true, false, _) => {
            let credentials = jwt(&READING)?;
            match (value(ENTERPRISE_ID)?, enterprise_of(&credentials)) {
                (Some(set), Some(named)) if set != named => Err(other_enterprise(
                    &format!("{ENTERPRISE_ID} is {set}"),
                    &format!("{} names enterprise {named}", place(jwt_config)),
                )),
                _ => Ok(credentials),
            }
        }
        (false, true, true) => {
            Err(CommandError::usage("both a developer token and client credentials are set")
                .hint("unset BOXSEAT_TOKEN for the nightly job; a developer token is valid for one hour"))
        }
        (false, true, false) => match secret(TOKEN)? {
            Some(token) => Ok(Credentials::DeveloperToken(token)),
            None => Err(none_set()),
        },
        (false, false, false) => {
            refuse_stray_user(&READING)?;
            Err(none_set())
        }
        (false, false, true) => {
            refuse_stray_user(&READING)?;
            match (value(client_id)?, secret(client_secret)?, value(ENTERPRISE_ID)?) {
                (Some(client_id), Some(client_secret), Some(enterprise_id)) => {
                    Ok(Credentials::ClientCredentials { client_id, client_secret, enterprise_id })
                }
                (id, secret, enterprise_id) => {
                    let missing: Vec<&str> = [
                        (client_id, id.is_none()),
                        (client_secret, secret.is_none()),
                        (ENTERPRISE_ID, enterprise_id.is_none()),
                    ]
                    .into_iter()
                    .filter_map(|(name, missing)| missing.then_some(name))
                    .collect();
                    Err(CommandError::usage(format!(
                        "client credentials are incomplete: {} is not set",
                        missing.join(" and ")
                    )))
                }
            }
        }
    }
}

/// The acting credentials: a separate application that may change users, or the reading credentials (R22).
///
/// # Errors
/// Exit 2 for incomplete credentials, naming what is missing; for two kinds at once; for another enterprise than that of the reading
/// credentials.
pub(crate) fn actions_credentials(reading: &Credentials) -> Result<Credentials, CommandError> {
    let Names { client_id, client_secret, jwt_config, .. } = ACTING;
    let is_client = [client_id, client_secret].iter().any(|name| is_set(name));
    if is_set(jwt_config) {
        if is_client {
            return Err(two_kinds(&ACTING));
        }
        let acting = jwt(&ACTING)?;
        return match (enterprise_of(reading), enterprise_of(&acting)) {
            (Some(read), Some(acted)) if read != acted => Err(other_enterprise(
                &format!("{} names enterprise {acted}", place(jwt_config)),
                &format!("the reading credentials name enterprise {read}"),
            )),
            _ => Ok(acting),
        };
    }
    refuse_stray_user(&ACTING)?;
    let id = value(client_id)?;
    let secret = secret(client_secret)?;
    let enterprise_id = match enterprise_of(reading) {
        Some(enterprise_id) => Some(enterprise_id.to_owned()),
        None => value(ENTERPRISE_ID)?,
    };
    let missing = |name: &str| {
        Err(CommandError::usage(format!("the acting credentials are incomplete: {name} is not set")))
    };
    match (id, secret, enterprise_id) {
        (None, None, _) => Ok(reading.clone()),
        (None, Some(_), _) => missing(client_id),
        (Some(_), None, _) => missing(client_secret),
        (Some(_), Some(_), None) => missing(ENTERPRISE_ID),
        (Some(client_id), Some(client_secret), Some(enterprise_id)) => {
            Ok(Credentials::ClientCredentials { client_id, client_secret, enterprise_id })
        }
    }
}

/// Whether separate acting credentials are set.
pub(crate) fn has_actions_credentials() -> bool {
    is_set(ACTING.client_id) || is_set(ACTING.jwt_config)
}

/// The kind of the reading credentials and their application, without secrets.
pub(crate) fn describe_sign_in(reading: &Credentials) -> String {
    describe(reading, &READING)
}

/// The same of the acting credentials.
pub(crate) fn describe_actions_sign_in(acting: &Credentials) -> String {
    let names = if has_actions_credentials() { &ACTING } else { &READING };
    describe(acting, names)
}

fn describe(credentials: &Credentials, names: &Names) -> String {
    match credentials {
        Credentials::DeveloperToken(_) => "developer token".to_owned(),
        Credentials::ClientCredentials { client_id, enterprise_id, .. } => {
            format!("client credentials of application {client_id} for enterprise {enterprise_id}")
        }
        Credentials::Jwt(application) => format!(
            "JWT of {}: application {}, key {}, for {}",
            place(names.jwt_config),
            application.client_id(),
            application.key_id(),
            application.subject()
        ),
    }
}

fn enterprise_of(credentials: &Credentials) -> Option<&str> {
    match credentials {
        Credentials::DeveloperToken(_) => None,
        Credentials::ClientCredentials { enterprise_id, .. } => Some(enterprise_id),
        Credentials::Jwt(application) => application.enterprise_id(),
    }
}

/// The application of a JWT configuration file, which is set.
fn jwt(names: &Names) -> Result<Credentials, CommandError> {
    let user_id = value(names.jwt_user_id)?;
    let path = match variable_os(names.jwt_config).map(PathBuf::from).or_else(|| loaded(names.jwt_config)) {
        Some(path) => path,
        None => return Err(none_set()),
    };
    warn_if_open(&path);
    let place = place(names.jwt_config);
    let bytes = std::fs::read(&path).map_err(|e| {
        CommandError::usage(format!("cannot read the JWT configuration {place}"))
            .because(e)
            .hint("name the JSON file that the Box developer console offers for download")
    })?;
    let bytes = SecretSlice::from(bytes);
    JwtApplication::from_json(bytes.expose_secret(), user_id.as_deref()).map(Credentials::Jwt).map_err(
        |fault| {
            CommandError::usage(format!("the JWT configuration {place} cannot be used: {fault}"))
                .hint(remedy(&fault))
        },
    )
}

/// The step in the developer console that repairs a configuration file.
fn remedy(fault: &JwtConfigFault) -> &'static str {
    const NEW_KEY: &str = "in the Box developer console, open the application, tab Configuration, section \"Add and Manage Public Keys\", and click \"Generate a Public/Private Keypair\": it downloads a new file, with the key";
    match fault {
        JwtConfigFault::Missing("enterpriseID") => {
            "in the Box developer console, tab General Settings of the application shows the enterprise id; write it into the file as \"enterpriseID\". For a user in place of the service account, set BOXSEAT_JWT_USER_ID (BOXSEAT_ACTIONS_JWT_USER_ID)"
        }
        JwtConfigFault::Missing("boxAppSettings.clientID" | "boxAppSettings.clientSecret")
        | JwtConfigFault::Unusable(_) => {
            "in the Box developer console, tab Configuration of the application, section \"OAuth 2.0 Credentials\" shows client id and client secret; section \"App Settings\" offers the file again (\"Download as JSON\"), without the private key"
        }
        JwtConfigFault::NotTheFile { .. }
        | JwtConfigFault::Missing(_)
        | JwtConfigFault::Key(KeyFault::NotPem | KeyFault::Damaged | KeyFault::OtherLabel(_)) => NEW_KEY,
        JwtConfigFault::Key(KeyFault::NoPassphrase | KeyFault::Passphrase) => {
            "boxAppSettings.appAuth.passphrase must be the passphrase of this private key. If it is lost: in the Box developer console, tab Configuration, section \"Add and Manage Public Keys\", generate a new key pair, which downloads a new file"
        }
        JwtConfigFault::Key(KeyFault::Cipher(_)) => {
            "convert the key: openssl pkcs8 -topk8 -in KEY -out NEW -v2 aes-256-cbc; write NEW as one line with \\n between its lines into boxAppSettings.appAuth.privateKey. Or generate a new key pair in the Box developer console, tab Configuration, section \"Add and Manage Public Keys\""
        }
        JwtConfigFault::Key(KeyFault::NotRsa) => {
            "Box requires an RSA key of at least 2048 bits: in the Box developer console, tab Configuration, section \"Add and Manage Public Keys\", generate a new key pair"
        }
    }
}

/// Client credentials and a JWT configuration for one application.
fn two_kinds(names: &Names) -> CommandError {
    let set: Vec<String> =
        [names.client_id, names.client_secret].into_iter().filter(|name| is_set(name)).map(place).collect();
    CommandError::usage(format!(
        "both client credentials ({}) and a JWT configuration ({}) are set",
        set.join(", "),
        place(names.jwt_config)
    ))
    .hint("an application signs in with one of them: unset the other; the JWT configuration has its own client id, secret and enterprise id")
}

fn other_enterprise(one: &str, other: &str) -> CommandError {
    CommandError::usage(format!("{one}, but {other}")).hint("use applications of one enterprise")
}

/// A user id without the configuration that it belongs to.
fn refuse_stray_user(names: &Names) -> Result<(), CommandError> {
    if is_set(names.jwt_user_id) {
        let (user, config) = (place(names.jwt_user_id), names.jwt_config);
        return Err(CommandError::usage(format!("{user} is set, but {config} is not"))
            .hint("a user can be the subject of a JWT configuration only"));
    }
    Ok(())
}

fn none_set() -> CommandError {
    CommandError::usage("no credentials are set")
        .hint("set BOXSEAT_JWT_CONFIG (an application with a key pair), or BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET and BOXSEAT_ENTERPRISE_ID, or BOXSEAT_TOKEN for a first try")
        .hint("to try boxseat without Box: boxseat demo")
}

/// Whether a value or its file is set.
fn is_set(name: &str) -> bool {
    let has_file =
        (name == TOKEN || name.ends_with("_SECRET")) && variable_os(&format!("{name}_FILE")).is_some();
    has_file || variable_os(name).is_some() || loaded(name).is_some()
}

/// Where a value comes from, for messages.
fn place(name: &str) -> String {
    match (variable_os(name), loaded(name)) {
        (None, Some(path)) => path.display().to_string(),
        (Some(path), _) if name.ends_with("_JWT_CONFIG") => {
            format!("{} ({name})", Path::new(&path).display())
        }
        _ => name.to_owned(),
    }
}

/// The file of `$CREDENTIALS_DIRECTORY` for a variable. systemd makes this directory for a service with `LoadCredential`
/// (<https://systemd.io/CREDENTIALS/>).
fn loaded(name: &str) -> Option<PathBuf> {
    let directory = PathBuf::from(variable_os(CREDENTIALS_DIRECTORY)?);
    let path = directory.join(name.to_ascii_lowercase().replace('_', "-"));
    // If it cannot be seen whether the file exists, reading it states the reason.
    path.try_exists().unwrap_or(true).then_some(path)
}

/// `NAME`, the content of the file that `NAME_FILE` names, or of the loaded file.
fn secret(name: &str) -> Result<Option<SecretString>, CommandError> {
    let file = format!("{name}_FILE");
    match (variable_os(name), variable_os(&file).map(PathBuf::from)) {
        (Some(_), Some(_)) => {
            Err(CommandError::usage(format!("both {name} and {file} are set; one is enough")))
        }
        (None, Some(path)) => content(&path, &format!("{}, which {file} names", path.display())).map(Some),
        _ => value(name).map(|value| value.map(SecretString::from)),
    }
}

fn content(path: &Path, place: &str) -> Result<SecretString, CommandError> {
    warn_if_open(path);
    let bytes =
        std::fs::read(path).map_err(|e| CommandError::usage(format!("cannot read {place}")).because(e))?;
    let bytes = SecretSlice::from(bytes);
    clean(&format!("the content of {place},"), bytes.expose_secret()).map(SecretString::from)
}

/// Warns of a file with a secret that other users of this machine can use, once per file and process. systemd gives the files in its
/// directory their permissions.
fn warn_if_open(path: &Path) {
    static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let directory = variable_os(CREDENTIALS_DIRECTORY).map(PathBuf::from);
    let Some((file, mode)) = open_file(path, directory.as_deref()) else { return };
    if WARNED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(file) {
        let path = path.display();
        tracing::warn!("{path} has a secret and is open to other users (mode {mode:04o}): chmod 600 {path}");
    }
}

/// The file with links resolved and its mode, if it is open to others and not in the directory of systemd. A file that cannot be
/// read is an error when it is read.
fn open_file(path: &Path, credentials_directory: Option<&Path>) -> Option<(PathBuf, u32)> {
    let file = path.canonicalize().ok()?;
    let mode = std::fs::metadata(&file).ok()?.permissions().mode() & 0o7777;
    let is_loaded = credentials_directory
        .is_some_and(|directory| directory.canonicalize().is_ok_and(|directory| file.starts_with(directory)));
    (mode & 0o077 != 0 && !is_loaded).then_some((file, mode))
}

/// A credential from a variable, or from the loaded file.
fn value(name: &str) -> Result<Option<String>, CommandError> {
    if let Some(value) = variable_os(name) {
        return clean(name, value.as_encoded_bytes()).map(Some);
    }
    loaded(name)
        .map(|path| content(&path, &path.display().to_string()).map(|value| value.expose_secret().to_owned()))
        .transpose()
}

/// Trims the line end, the blanks and the byte order mark that editors and env files add to a credential. `place` is its source,
/// for messages; the value is never printed.
fn clean(place: &str, value: &[u8]) -> Result<String, CommandError> {
    let refused = |reason: &str, hint: &str| {
        Err(CommandError::usage(format!("{place} cannot be a credential: {reason}")).hint(hint))
    };
    let Ok(text) = std::str::from_utf8(value) else {
        return refused("it is not UTF-8 text", "save it as plain text; PowerShell's > writes UTF-16");
    };
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | '\u{2018}'..='\u{201f}');
    if text.is_empty() {
        return refused("it is empty", "set it to what the Box developer console shows, or unset it");
    }
    if text.starts_with(is_quote) || text.ends_with(is_quote) {
        return refused(
            "it is in quotes",
            "remove the quotes: docker and other readers of env files keep them",
        );
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refused(
            "it contains a blank, a control character or a character that is not ASCII",
            "copy it again from the Box developer console",
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_of_credentials_are_all_that_the_environment_names() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["boxseat-journal-key", "boxseat-client-secret", "of-another-program"] {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        let found = files_of(|name| match name {
            "CREDENTIALS_DIRECTORY" => Some(directory.path().into()),
            name => Some(format!("/{name}").into()),
        });
        let mut found: Vec<_> = found.into_iter().map(|(_, path)| path).collect();
        let mut wanted: Vec<PathBuf> = [
            "BOXSEAT_TOKEN_FILE",
            "BOXSEAT_CLIENT_SECRET_FILE",
            "BOXSEAT_ACTIONS_CLIENT_SECRET_FILE",
            "BOXSEAT_JWT_CONFIG",
            "BOXSEAT_ACTIONS_JWT_CONFIG",
        ]
        .map(|name| Path::new("/").join(name))
        .to_vec();
        let loaded = ["boxseat-journal-key", "boxseat-client-secret", "of-another-program"];
        wanted.extend(loaded.map(|name| directory.path().join(name)));
        wanted.push(directory.path().to_owned());
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
        assert!(files_of(|_| None).is_empty());
    }

    #[test]
    fn file_that_others_can_use_is_open_except_in_the_directory_of_systemd() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("jwt.json"), directory.path().join("link"));
        std::fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        for (mode, is_open) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true)] {
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let found = open_file(&file, None);
            assert_eq!(found.is_some(), is_open, "{mode:o}");
            // One file has one warning, whatever name it is read under.
            assert_eq!(open_file(&link, None), found);
            assert_eq!(open_file(&file, Some(directory.path())), None);
        }
        assert_eq!(open_file(&directory.path().join("missing"), None), None);
    }

    #[test]
    fn blanks_and_line_ends_around_a_credential_are_trimmed() {
        for value in ["sec", "sec\n", "sec\r\n", " \tsec ", "\u{feff}sec\r\n", "sec\r", "\u{a0}sec", "s'e\"c"]
        {
            let expected = if value.contains('e') && value.contains('\'') { value } else { "sec" };
            assert_eq!(clean("X", value.as_bytes()).unwrap(), expected, "{value:?}");
        }
    }

    /// Why: a line feed in a token was retried as a network fault for 14 minutes.
    #[test]
    fn invalid_credential_is_refused_and_not_printed() {
        let utf16: Vec<u8> = "\u{feff}s3cret\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let texts = [
            "",
            " \r\n",
            "\"s3cret\"",
            "'s3cret'",
            "“s3cret”",
            "s3cret\"",
            "s3\ncret",
            "s3\0cret",
            "s3cret ä",
            "s3 cret",
        ];
        for value in texts.iter().map(|text| text.as_bytes()).chain([utf16.as_slice(), b"s3cret\xff"]) {
            let error = clean("BOXSEAT_CLIENT_SECRET", value).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let messages = [error.lines(), error.hints().to_vec()].concat().join("\n");
            assert!(messages.contains("BOXSEAT_CLIENT_SECRET"), "{messages}");
            assert!(!messages.contains("s3"), "{messages}");
        }
    }
}
