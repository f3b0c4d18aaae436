//! R9: signed approvals. `ssh-keygen -Y sign -n boxseat-plan` makes the signature, and a file of allowed signers lists the accepted
//! keys, both as in `ssh-keygen(1)`. The signature is verified here, so the machine needs no OpenSSH.
//!
//! Keys are of the type Ed25519, in a file or on a security key. Other types are refused by name: a signature that cannot be
//! verified is no approval.

use chrono::{DateTime, NaiveDateTime, Utc};
use ssh_key::{HashAlg, PublicKey, SshSig};

/// The namespace of a signature; a signature of a commit or an e-mail approves nothing.
pub const NAMESPACE: &str = "boxseat-plan";

/// The signer of `message`, by the first entry of `allowed` whose key made `signature`.
///
/// # Errors
/// A sentence about the error in the signature or the list.
pub(crate) fn signer(
    allowed: &str,
    signature: &[u8],
    message: &[u8],
    now: DateTime<Utc>,
) -> Result<String, String> {
    let signature = SshSig::from_pem(signature).map_err(|e| {
        format!(
            "that is no SSH signature ({e}); `ssh-keygen -Y sign -n {NAMESPACE} -f KEY PLAN.json` makes one"
        )
    })?;
    if signature.namespace() != NAMESPACE {
        return Err(format!(
            "it was made for {:?}, and an approval is made with -n {NAMESPACE}",
            signature.namespace()
        ));
    }
    let mut why = "no entry of the list of allowed signers has the key it was made with".to_owned();
    for (index, line) in allowed.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = Signer::parse(line)
            .map_err(|e| format!("line {} of the list of allowed signers: {e}", index + 1))?;
        let Key::Read(key) = &entry.key else { continue };
        if key.key_data() != signature.public_key() {
            continue;
        }
        match entry.allows(now) {
            Err(reason) => why = format!("{}: {reason}", entry.principals),
            Ok(()) => match key.verify(NAMESPACE, message, &signature) {
                Ok(()) => return Ok(entry.principals),
                Err(ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. }) => {
                    return Err(format!("keys of the type {} cannot be verified here; sign with an Ed25519 key", key.algorithm()));
                }
                Err(_) => why = "it is not a signature of this plan: the file was changed after it was signed, or is another".to_owned(),
            },
        }
    }
    Err(why)
}

/// A string that identifies the key of a signature.
///
/// # Errors
/// A sentence: it is no signature.
pub(crate) fn key_of(signature: &[u8]) -> Result<String, String> {
    let signature = SshSig::from_pem(signature).map_err(|e| format!("that is no SSH signature ({e})"))?;
    Ok(PublicKey::from(signature.public_key().clone()).fingerprint(HashAlg::Sha256).to_string())
}

/// The entries of a list in one form: principals, options, type and key, without comments. No other text of the file is in it: a plan stores
/// and shows the entries, and a file that is no such list can have a secret.
///
/// # Errors
/// A sentence with the number of the first line that is no entry, without its text.
pub(crate) fn entries(list: &str) -> Result<Vec<String>, String> {
    let lines = list.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            let entry = Signer::parse(line)
                .map_err(|e| format!("line {} is no entry of such a list: {e}", index + 1))?;
            Ok(entry.to_line())
        })
        .collect()
}

/// An entry of the list.
struct Signer {
    principals: String,
    namespaces: Option<String>,
    valid_after: Option<DateTime<Utc>>,
    valid_before: Option<DateTime<Utc>>,
    key: Key,
}

/// The key of an entry.
enum Key {
    Read(PublicKey),
    /// An ECDSA key, as type and key: its signatures cannot be verified here.
    Ecdsa(String),
}

impl Signer {
    /// Messages never have text of the line: it may be of any file.
    fn parse(line: &str) -> Result<Self, String> {
        let (principals, rest) = word(line);
        let principals = clean(principals).ok_or("it begins with no principal")?;
        let (second, behind) = word(rest);
        let is_key =
            ["ssh-", "sk-ssh-", "ecdsa-", "sk-ecdsa-"].iter().any(|prefix| second.starts_with(prefix));
        let (options, key) = if is_key { ("", rest) } else { (second, behind) };
        let (mut namespaces, mut valid_after, mut valid_before) = (None, None, None);
        for option in split(options, ',').into_iter().filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let time =
                |name: &str| moment(value).ok_or_else(|| format!("{name} is no time such as 20270101Z"));
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => {
                    namespaces = Some(clean(value).ok_or("namespaces is no text in quotation marks")?);
                }
                "valid-after" => valid_after = Some(time("valid-after")?),
                "valid-before" => valid_before = Some(time("valid-before")?),
                "cert-authority" => return Err("certificates are not taken here, only keys".to_owned()),
                _ => return Err("it has an option that is not known, or no public key".to_owned()),
            }
        }
        let key = Key::parse(key).ok_or("it has no public key")?;
        Ok(Self { principals, namespaces, valid_after, valid_before, key })
    }

    /// The line that [`Signer::parse`] reads as this entry.
    fn to_line(&self) -> String {
        let Self { principals, namespaces, valid_after, valid_before, key } = self;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "@.,_-+*?!".contains(c);
        let principals =
            if principals.chars().all(is_plain) { principals.clone() } else { format!("\"{principals}\"") };
        let time = |at: &DateTime<Utc>| at.format("%Y%m%d%H%M%SZ").to_string();
        let options: Vec<String> = [
            ("namespaces", namespaces.clone()),
            ("valid-after", valid_after.as_ref().map(time)),
            ("valid-before", valid_before.as_ref().map(time)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value?)))
        .collect();
        let key = match key {
            Key::Read(key) => PublicKey::from(key.key_data().clone())
                .to_openssh()
                .expect("a key that was read can be written"),
            Key::Ecdsa(key) => key.clone(),
        };
        let words = [principals, options.join(","), key];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn allows(&self, now: DateTime<Utc>) -> Result<(), String> {
        if let Some(namespaces) = &self.namespaces
            && !namespaces.split(',').any(|name| name == NAMESPACE || name == "*")
        {
            return Err(format!("the key may not sign for {NAMESPACE}"));
        }
        if self.valid_after.is_some_and(|from| now < from) || self.valid_before.is_some_and(|to| now >= to) {
            return Err("the key is not valid today".to_owned());
        }
        Ok(())
    }
}

impl Key {
    /// Reads type and key; a comment after them is skipped.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (kind, key) = (words.next()?, words.next()?);
        let text = format!("{kind} {key}");
        if let Ok(key) = PublicKey::from_openssh(&text) {
            return Some(Self::Read(key));
        }
        let (_, start, length) = ECDSA.iter().find(|(name, _, _)| *name == kind)?;
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let is_key = key.starts_with(start) && key.len() <= *length && key.bytes().all(is_base64);
        is_key.then_some(Self::Ecdsa(text))
    }
}

/// Types of ECDSA keys, with the beginning of each key in base64 and its greatest length: the type again, the curve, and the
/// mark of a point (RFC 5656, 3.1). A key on a security key also has the name of an application.
const ECDSA: [(&str, &str, usize); 4] = [
    ("ecdsa-sha2-nistp256", "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBB", 140),
    ("ecdsa-sha2-nistp384", "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhB", 184),
    ("ecdsa-sha2-nistp521", "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFB", 232),
    (
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBB",
        400,
    ),
];

/// The first word and the rest; spaces within quotes belong to the word.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let mut is_quoted = false;
    let end = text.find(|c: char| {
        is_quoted ^= c == '"';
        c.is_whitespace() && !is_quoted
    });
    text.split_at(end.unwrap_or(text.len()))
}

/// Parts between separators outside of quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut is_quoted = false;
    text.split(|c: char| {
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    })
    .collect()
}

/// The text within quotation marks, or without them; `None` if it is empty or cannot be written in one line again.
fn clean(text: &str) -> Option<String> {
    let text = text.trim_matches('"');
    let is_clean = !text.is_empty() && !text.contains(|c: char| c == '"' || c.is_control());
    is_clean.then(|| text.to_owned())
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC with a Z at the end. Without the Z it is in the author's local time zone,
/// which is unknown here.
fn moment(value: &str) -> Option<DateTime<Utc>> {
    let digits = value.trim_matches('"').strip_suffix('Z')?;
    let padded = format!("{digits:0<14}");
    let is_time = matches!(digits.len(), 8 | 12 | 14);
    is_time.then(|| NaiveDateTime::parse_from_str(&padded, "%Y%m%d%H%M%S").ok())?.map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use ssh_key::{LineEnding, PrivateKey, private::Ed25519Keypair};

    use super::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    fn signed(key: &PrivateKey, namespace: &str, message: &[u8]) -> String {
        key.sign(namespace, HashAlg::Sha512, message).unwrap().to_pem(LineEnding::LF).unwrap()
    }

    fn now() -> DateTime<Utc> {
        "2026-03-02T00:00:00Z".parse().unwrap()
    }

    /// R9: a signature counts for this plan, by a key on the list, for this purpose.
    #[test]
    fn r9_a_signature_is_of_the_plan_by_somebody_allowed() {
        let (ours, other) = (key(1), key(2));
        let list =
            format!("# who may\nchief@acme.test {} of the chief\n", ours.public_key().to_openssh().unwrap());
        let check = |list: &str, pem: &str, message: &[u8]| signer(list, pem.as_bytes(), message, now());
        assert_eq!(check(&list, &signed(&ours, NAMESPACE, b"plan"), b"plan").unwrap(), "chief@acme.test");
        assert!(
            check(&list, &signed(&ours, NAMESPACE, b"plan"), b"plan, edited")
                .unwrap_err()
                .contains("not a signature of this plan")
        );
        assert!(
            check(&list, &signed(&ours, "git", b"plan"), b"plan").unwrap_err().contains("-n boxseat-plan")
        );
        assert!(check(&list, &signed(&other, NAMESPACE, b"plan"), b"plan").unwrap_err().contains("no entry"));
        assert!(check("", &signed(&ours, NAMESPACE, b"plan"), b"plan").is_err());
        assert!(check(&list, "yes", b"plan").unwrap_err().contains("no SSH signature"));
    }

    #[test]
    fn r9_the_list_may_narrow_a_key() {
        let key = key(1);
        let public = key.public_key().to_openssh().unwrap();
        let pem = signed(&key, NAMESPACE, b"plan");
        let check = |options: &str| {
            signer(&format!("\"the chief\" {options} {public}\n"), pem.as_bytes(), b"plan", now())
        };
        assert_eq!(check("").unwrap(), "the chief");
        assert_eq!(check("namespaces=\"file,boxseat-plan\",valid-after=\"20260101Z\"").unwrap(), "the chief");
        assert!(check("namespaces=\"git\"").unwrap_err().contains("may not sign"));
        assert!(check("valid-before=\"20260301Z\"").unwrap_err().contains("not valid today"));
        assert!(check("valid-after=\"202603020001Z\"").unwrap_err().contains("not valid today"));
        assert!(check("valid-after=\"20260101\"").unwrap_err().contains("is no time"));
        assert!(check("cert-authority").unwrap_err().contains("certificates"));
        assert!(check("no-touch").unwrap_err().contains("not known"));
    }

    /// Why: each line of a file that a policy named as list of signers was stored in the plan and shown, also of the private key
    /// of the journal.
    #[test]
    fn r9_a_line_that_is_no_entry_is_refused_by_its_number_and_not_shown() {
        let private = key(1).to_openssh(LineEnding::LF).unwrap();
        let public = key(1).public_key().to_openssh().unwrap();
        for (list, line) in [
            (private.to_string(), 1),
            (format!("# list\n\njo@acme.test {public}\n{}", private.as_str()), 4),
            ("Zx9Secret\n".to_owned(), 1),
            ("{\"clientSecret\": \"Zx9\"}\n".to_owned(), 1),
            (format!("{public}\n"), 1),
            (format!("jo@acme.test Zx9 {public}\n"), 1),
            (format!("jo@acme.test valid-after=\"Zx9\" {public}\n"), 1),
            (format!("jo@acme.test namespaces=Zx\"9\"x {public}\n"), 1),
            ("jo@acme.test ssh-ed25519 Zx9Secret\n".to_owned(), 1),
            ("jo@acme.test ssh-rsa Zx9Secret\n".to_owned(), 1),
            ("jo@acme.test ecdsa-sha2-nistp256 Zx9Secret\n".to_owned(), 1),
            ("jo@acme.test ssh-Zx9@acme.test Zx9Secret\n".to_owned(), 1),
        ] {
            let error = entries(&list).expect_err(&list);
            assert!(error.starts_with(&format!("line {line} is no entry")), "{list}\n{error}");
            for secret in ["Zx9", "PRIVATE", "b3BlbnNzaC1rZXk", "AAAA"] {
                assert!(!error.contains(secret), "{list}\n{error}");
            }
        }
    }

    #[test]
    fn r9_entries_have_no_comment_and_keep_what_narrows_a_key() {
        let public = PublicKey::from(key(1).public_key().key_data().clone()).to_openssh().unwrap();
        let ecdsa = format!("ecdsa-sha2-nistp256 {:A<140}", ECDSA[0].1);
        let list = format!(
            "# who may\r\n\r\n  jo@acme.test,*@b.test {public} Zx9 of jo\n\
             \"#the chief\"  Valid-After=20260101Z,namespaces=\"git,boxseat-plan\" {public}\n\
             al@acme.test {ecdsa} al\n"
        );
        let found = entries(&list).unwrap();
        assert_eq!(
            found,
            [
                format!("jo@acme.test,*@b.test {public}"),
                format!(
                    "\"#the chief\" namespaces=\"git,boxseat-plan\",valid-after=\"20260101000000Z\" {public}"
                ),
                format!("al@acme.test {ecdsa}"),
            ]
        );
        assert_eq!(entries(&found.join("\n")).unwrap(), found, "the form stays the same");
        // An ECDSA key does not disable the entries after it.
        let pem = signed(&key(1), NAMESPACE, b"plan");
        let list = format!("{}\n{}\n", found[2], found[1]);
        assert_eq!(signer(&list, pem.as_bytes(), b"plan", now()).unwrap(), "#the chief");
    }

    #[test]
    fn fuzz_allowed_signers() {
        let pem = signed(&key(1), NAMESPACE, b"plan");
        boxseat_fuzz::run("allowed_signers", |input| {
            let Ok(list) = std::str::from_utf8(input.mutated) else { return Ok(()) };
            _ = signer(list, pem.as_bytes(), b"plan", now());
            match entries(list) {
                Ok(found) if entries(&found.join("\n")).as_ref() != Ok(&found) => {
                    Err(format!("other entries are read from {found:?}"))
                }
                _ => Ok(()),
            }
        });
    }

    /// A changed signature, or a changed plan, is never an approval by another signer.
    #[test]
    fn fuzz_signature() {
        let public = key(1).public_key().to_openssh().unwrap();
        let list = format!("chief@acme.test {public}\n");
        let pem = signed(&key(1), NAMESPACE, b"plan");
        boxseat_fuzz::run_over("signature", vec![pem.into_bytes()], |input| {
            match signer(&list, input.mutated, b"plan", now()) {
                Ok(who) if who != "chief@acme.test" => Err(format!("accepted as of {who}")),
                _ => Ok(()),
            }
        });
        let plan = b"plan 1 of [\"11\", \"12\"]";
        let pem = signed(&key(1), NAMESPACE, plan);
        boxseat_fuzz::run_over("signed_plan", vec![plan.to_vec()], |input| {
            match signer(&list, pem.as_bytes(), input.mutated, now()) {
                Ok(_) if input.mutated != plan => Err("the changed plan counts as signed".to_owned()),
                _ => Ok(()),
            }
        });
    }
}
