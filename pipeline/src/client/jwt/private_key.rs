//! The private key of an application, in the forms in which Box and OpenSSL write it.
//!
//! | PEM label | form |
//! | --- | --- |
//! | `ENCRYPTED PRIVATE KEY` | PKCS#8 with PBES2: PBKDF2 or scrypt, then 3DES-CBC or AES-CBC. Box's console writes 3DES with HMAC-SHA1. |
//! | `PRIVATE KEY` | PKCS#8, not encrypted |
//! | `RSA PRIVATE KEY` | PKCS#1, also encrypted (`Proc-Type: 4,ENCRYPTED`), as OpenSSL before 3.0 writes it |
//!
//! The cryptography library of rustls makes the signatures. The ciphers here only decrypt the key.

use aws_lc_rs::rsa::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipher, BlockDecryptMut, KeyInit, KeyIvInit as _};
use md5::{Digest as _, Md5};
use pkcs8::EncryptedPrivateKeyInfo;
use secrecy::zeroize::Zeroizing;

/// Why a private key cannot be used. No text contains a part of the key or of the passphrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// There is no `-----BEGIN …-----` with its `-----END …-----`.
    #[error(
        "it is not in PEM form (-----BEGIN ENCRYPTED PRIVATE KEY----- to -----END ENCRYPTED PRIVATE KEY-----)"
    )]
    NotPem,
    /// The base64 text between the two lines is damaged.
    #[error("the text between its BEGIN line and its END line is damaged")]
    Damaged,
    /// A PEM text with other content.
    #[error("it is a {0:?}, and not a private key for RSA")]
    OtherLabel(String),
    /// It is encrypted, and there is no passphrase.
    #[error("it is encrypted, and there is no passphrase")]
    NoPassphrase,
    /// The passphrase does not open it.
    #[error("the passphrase does not open it")]
    Passphrase,
    /// It is encrypted in a way that is not supported.
    #[error("it is encrypted in a way that is not supported ({0})")]
    Cipher(String),
    /// Not an RSA key, or too short for Box.
    #[error("it is not an RSA key of 2048 to 8192 bits")]
    NotRsa,
}

/// Reads a private key in PEM form.
///
/// # Errors
/// [`KeyFault`].
pub(super) fn read(pem: &str, passphrase: Option<&str>) -> Result<KeyPair, KeyFault> {
    let passphrase = passphrase.filter(|text| !text.is_empty());
    let Pem { label, headers, der } = Pem::parse(pem)?;
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match label.as_str() {
        "ENCRYPTED PRIVATE KEY" => {
            let encrypted =
                EncryptedPrivateKeyInfo::try_from(&der[..]).map_err(|e| KeyFault::Cipher(e.to_string()))?;
            let opened = match encrypted.decrypt(passphrase.ok_or(KeyFault::NoPassphrase)?) {
                Ok(opened) => opened,
                Err(pkcs8::Error::EncryptedPrivateKey(e)) if is_unsupported(e) => {
                    return Err(KeyFault::Cipher(e.to_string()));
                }
                Err(_) => return Err(KeyFault::Passphrase),
            };
            KeyPair::from_pkcs8(opened.as_bytes()).map_err(|_| KeyFault::NotRsa)
        }
        "PRIVATE KEY" => KeyPair::from_pkcs8(&der).map_err(|_| KeyFault::NotRsa),
        "RSA PRIVATE KEY" => match header("DEK-Info") {
            None => KeyPair::from_der(&der).map_err(|_| KeyFault::NotRsa),
            Some(dek_info) => {
                let opened = open_traditional(&der, dek_info, passphrase.ok_or(KeyFault::NoPassphrase)?)?;
                KeyPair::from_der(&opened).map_err(|_| KeyFault::NotRsa)
            }
        },
        _ => Err(KeyFault::OtherLabel(label)),
    }
}

fn is_unsupported(error: pkcs8::pkcs5::Error) -> bool {
    use pkcs8::pkcs5::Error;
    matches!(
        error,
        Error::NoPbes1CryptSupport
            | Error::UnsupportedAlgorithm { .. }
            | Error::AlgorithmParametersInvalid { .. }
    )
}

/// The first section of a PEM text.
struct Pem {
    label: String,
    /// Headers of RFC 1421. Encrypted keys in OpenSSL's traditional format have them.
    headers: Vec<(String, String)>,
    der: Zeroizing<Vec<u8>>,
}

impl Pem {
    /// Accepts line ends that editors and secret stores have changed: CR LF, a literal `\n`, blanks.
    fn parse(text: &str) -> Result<Self, KeyFault> {
        let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
        let (label, rest) = text
            .split_once("-----BEGIN ")
            .and_then(|(_, rest)| rest.split_once("-----"))
            .ok_or(KeyFault::NotPem)?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or(KeyFault::NotPem)?;
        if label.len() > LONGEST_LABEL || !label.bytes().all(|b| b.is_ascii_uppercase() || b == b' ') {
            return Err(KeyFault::NotPem);
        }
        let mut headers = Vec::new();
        let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
        for line in body.lines() {
            // Base64 has no colon.
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.trim().to_owned(), value.trim().to_owned())),
                None => base64.extend(line.chars().filter(|c| !c.is_whitespace())),
            }
        }
        let der = STANDARD.decode(base64.as_bytes()).map_err(|_| KeyFault::Damaged)?;
        Ok(Self { label: label.to_owned(), headers, der: Zeroizing::new(der) })
    }
}

/// Longest label of a PEM section that has a private or public key.
const LONGEST_LABEL: usize = 32;

/// Decrypts a key in OpenSSL's traditional form. `dek_info` is `CIPHER,IV`, the IV in hexadecimal digits.
fn open_traditional(
    encrypted: &[u8],
    dek_info: &str,
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let (cipher, iv) = dek_info.split_once(',').ok_or(KeyFault::Damaged)?;
    let iv = hexadecimal(iv.trim()).ok_or(KeyFault::Damaged)?;
    let open = match cipher.trim() {
        "DES-EDE3-CBC" => open_cbc::<des::TdesEde3>,
        "AES-128-CBC" => open_cbc::<aes::Aes128Dec>,
        "AES-192-CBC" => open_cbc::<aes::Aes192Dec>,
        "AES-256-CBC" => open_cbc::<aes::Aes256Dec>,
        other => return Err(KeyFault::Cipher(other.chars().take(LONGEST_LABEL).collect())),
    };
    let opened = open(encrypted, &iv, passphrase)?;
    // About one wrong passphrase in 256 leaves valid padding, so the first byte is checked too: a key begins with a SEQUENCE.
    if opened.first() == Some(&0x30) { Ok(opened) } else { Err(KeyFault::Passphrase) }
}

fn open_cbc<C: BlockDecryptMut + BlockCipher + KeyInit>(
    encrypted: &[u8],
    iv: &[u8],
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let key = traditional_key(passphrase, iv, C::key_size())?;
    let decryptor = cbc::Decryptor::<C>::new_from_slices(&key, iv).map_err(|_| KeyFault::Damaged)?;
    let mut bytes = Zeroizing::new(encrypted.to_vec());
    let length = decryptor.decrypt_padded_mut::<Pkcs7>(&mut bytes).map_err(|_| KeyFault::Passphrase)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// The key that OpenSSL derives for traditional PEM files: `EVP_BytesToKey` with MD5, one round, and the first eight bytes of the IV as
/// salt. <https://docs.openssl.org/3.0/man3/EVP_BytesToKey/>
fn traditional_key(passphrase: &str, iv: &[u8], size: usize) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let salt = iv.get(..8).ok_or(KeyFault::Damaged)?;
    let mut key = Zeroizing::new(Vec::new());
    let mut block: Option<[u8; 16]> = None;
    while key.len() < size {
        let mut hash = Md5::new();
        if let Some(block) = block {
            hash.update(block);
        }
        hash.update(passphrase.as_bytes());
        hash.update(salt);
        let digest: [u8; 16] = hash.finalize().into();
        key.extend_from_slice(&digest);
        block = Some(digest);
    }
    key.truncate(size);
    Ok(key)
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair as _;

    use super::*;

    const PASSPHRASE: &str = "test-passphrase-0123";

    macro_rules! key {
        ($name:literal) => {
            ($name, include_str!(concat!("test_keys/", $name, ".pem")))
        };
    }

    const ENCRYPTED: [(&str, &str); 11] = [
        key!("pkcs8_3des_sha1"),
        key!("pkcs8_3des_sha256"),
        key!("pkcs8_aes128_sha256"),
        key!("pkcs8_aes192_sha1"),
        key!("pkcs8_aes256_sha256"),
        key!("pkcs8_aes256_sha512"),
        key!("pkcs8_aes256_scrypt"),
        key!("rsa_des3"),
        key!("rsa_aes128"),
        key!("rsa_aes192"),
        key!("rsa_aes256"),
    ];
    const PLAIN: [(&str, &str); 2] = [key!("pkcs8_plain"), key!("rsa_plain")];

    /// A public key in DER form ends with its PKCS#1 form.
    #[track_caller]
    fn assert_is_the_key(name: &str, read: Result<KeyPair, KeyFault>) {
        let key = read.unwrap_or_else(|e| panic!("{name}: {e}"));
        let public = Pem::parse(include_str!("test_keys/public.pem")).unwrap();
        assert!(public.der.ends_with(key.public_key().as_ref()), "{name}");
    }

    #[test]
    fn every_form_of_a_key_is_read() {
        for (name, pem) in ENCRYPTED {
            assert_is_the_key(name, read(pem, Some(PASSPHRASE)));
        }
        for (name, pem) in PLAIN {
            assert_is_the_key(name, read(pem, None));
            // Box's file has an empty passphrase if the operator's own key is not encrypted.
            assert_is_the_key(name, read(pem, Some("")));
            assert_is_the_key(name, read(pem, Some("not needed")));
        }
    }

    /// Why: a literal `\n` in the key is a well-known failure of Box's SDKs (box/box-windows-sdk-v2#396).
    #[test]
    fn changed_line_ends_are_accepted() {
        for (name, pem) in [ENCRYPTED[0], ENCRYPTED[7], PLAIN[0]] {
            for changed in [
                pem.replace('\n', "\r\n"),
                pem.replace('\n', "\\n"),
                pem.replace('\n', "\\r\\n"),
                format!("\u{feff}{pem}\n\n"),
                pem.trim_end().to_owned(),
            ] {
                assert_is_the_key(name, read(&changed, Some(PASSPHRASE)));
            }
        }
        assert_is_the_key("blanks", read(&PLAIN[0].1.replace('\n', " "), None));
    }

    #[test]
    fn wrong_or_missing_passphrase_is_named() {
        for (name, pem) in ENCRYPTED {
            // More than 256 passphrases, so that some leave valid padding.
            for n in 0..if name.starts_with("rsa") { 600 } else { 3 } {
                let refused = read(pem, Some(&format!("wrong {n}"))).err();
                assert_eq!(refused, Some(KeyFault::Passphrase), "{name} {n}");
            }
            assert_eq!(read(pem, None).err(), Some(KeyFault::NoPassphrase), "{name}");
            assert_eq!(read(pem, Some("")).err(), Some(KeyFault::NoPassphrase), "{name}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused_by_its_reason() {
        let refused = |pem: &str| read(pem, Some(PASSPHRASE)).err();
        let (_, des) = ENCRYPTED[7];
        assert_eq!(refused(""), Some(KeyFault::NotPem));
        assert_eq!(refused("MIIE"), Some(KeyFault::NotPem));
        assert_eq!(refused(&des[..des.len() / 2]), Some(KeyFault::NotPem));
        assert_eq!(refused("-----BEGIN s3cret-----\n-----END s3cret-----\n"), Some(KeyFault::NotPem));
        assert_eq!(refused(&PLAIN[0].1.replacen("MII", "M!I", 1)), Some(KeyFault::Damaged));
        assert_eq!(refused(&des.replace("DES-EDE3-CBC,", "DES-EDE3-CBC")), Some(KeyFault::Damaged));
        assert_eq!(refused(&des.replace("DES-EDE3-CBC,", "DES-EDE3-CBC,00")), Some(KeyFault::Damaged));
        assert_eq!(refused(&des.replace("DES-EDE3-CBC,", "DES-EDE3-CBC,é")), Some(KeyFault::Damaged));
        assert_eq!(
            refused(&des.replace("DES-EDE3-CBC", "DES-CBC")),
            Some(KeyFault::Cipher("DES-CBC".into()))
        );
        assert!(matches!(refused(key!("pkcs8_pbe_v1").1), Some(KeyFault::Cipher(_))));
        assert_eq!(refused(key!("rsa_1024").1), Some(KeyFault::NotRsa));
        assert_eq!(refused(key!("ec").1), Some(KeyFault::OtherLabel("EC PRIVATE KEY".into())));
        assert_eq!(refused(key!("public").1), Some(KeyFault::OtherLabel("PUBLIC KEY".into())));
    }

    /// Excludes the forms with PBKDF2 or scrypt: a mutated number of rounds would take hours.
    #[test]
    fn fuzz_private_key() {
        let corpus = [ENCRYPTED[7], ENCRYPTED[10], PLAIN[0], PLAIN[1]];
        let corpus = corpus.map(|(_, pem)| pem.as_bytes().to_vec()).to_vec();
        boxseat_fuzz::run_over("private_key", corpus, |input| {
            let text = String::from_utf8_lossy(input.mutated);
            if !text.contains("ENCRYPTED PRIVATE KEY") {
                _ = read(&text, Some(PASSPHRASE));
            }
            Ok(())
        });
    }
}
