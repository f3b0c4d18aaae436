//! R9: signed approvals. `ssh-keygen -Y sign -n boxseat-plan` makes the signature, and a file of allowed signers lists the accepted
//! keys, both as in `ssh-keygen(1)`. The signature is verified here, so the machine needs no OpenSSH.
//!
//! Keys are of the type Ed25519, in a file or on a security key. Other types are refused by name: a signature that cannot be
//! verified is no approval.

use chrono::{DateTime, NaiveDateTime, Utc};
use ssh_key::{HashAlg, PublicKey, SshSig};

/// The namespace of a signature; a signature of a commit or an e-mail approves nothing.
pub(crate) const NAMESPACE: &str = "boxseat-plan";

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
        let Ok(key) = PublicKey::from_openssh(&entry.key) else {
            return Err(format!("line {} of the list of allowed signers has no public key", index + 1));
        };
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

/// An entry of the list.
struct Signer {
    principals: String,
    namespaces: Option<String>,
    valid_after: Option<DateTime<Utc>>,
    valid_before: Option<DateTime<Utc>>,
    /// Type, key and comment.
    key: String,
}

impl Signer {
    fn parse(line: &str) -> Result<Self, String> {
        let (principals, rest) = word(line);
        let mut entry = Self {
            principals: unquoted(principals),
            namespaces: None,
            valid_after: None,
            valid_before: None,
            key: String::new(),
        };
        let (second, behind) = word(rest);
        let is_key =
            ["ssh-", "sk-ssh-", "ecdsa-", "sk-ecdsa-"].iter().any(|prefix| second.starts_with(prefix));
        let (options, key) = if is_key { ("", rest) } else { (second, behind) };
        key.trim().clone_into(&mut entry.key);
        for option in split(options, ',').into_iter().filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').map_or((option, ""), |(name, value)| (name, value));
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => entry.namespaces = Some(unquoted(value)),
                "valid-after" => entry.valid_after = Some(moment(&unquoted(value))?),
                "valid-before" => entry.valid_before = Some(moment(&unquoted(value))?),
                "cert-authority" => return Err("certificates are not taken here, only keys".to_owned()),
                other => return Err(format!("{other} is an option that is not known")),
            }
        }
        Ok(entry)
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

fn unquoted(text: &str) -> String {
    text.trim_matches('"').to_owned()
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC with a Z at the end. Without the Z it is in the author's local time zone,
/// which is unknown here.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let refused = || format!("{text:?} is no time such as 20270101Z");
    let digits = text.strip_suffix('Z').ok_or_else(refused)?;
    let padded = format!("{digits:0<14}");
    if !matches!(digits.len(), 8 | 12 | 14) {
        return Err(refused());
    }
    NaiveDateTime::parse_from_str(&padded, "%Y%m%d%H%M%S").map(|at| at.and_utc()).map_err(|_| refused())
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

    #[test]
    fn fuzz_allowed_signers() {
        let pem = signed(&key(1), NAMESPACE, b"plan");
        boxseat_fuzz::run("allowed_signers", |input| {
            if let Ok(list) = std::str::from_utf8(input.mutated) {
                _ = signer(list, pem.as_bytes(), b"plan", now());
            }
            Ok(())
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
