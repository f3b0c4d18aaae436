use boxseat_schemas::spool::{FRAME_FIXED_LEN, FileKind, Fixed};
use ssh_key::PublicKey;

use super::*;
use crate::error::ErrorKind;

const STORE: Uuid = Uuid::from_u128(77);

fn skip(user: u64) -> Record {
    Record::Skipped {
        plan_id: "p".into(),
        user_id: user.to_string(),
        reason: boxseat_schemas::reclaim::ReasonCode::Changed.into(),
        detail: "the login is another".into(),
        is_final: true,
        used_at: None,
    }
}

fn open(root: &Path) -> Result<Journal, Error> {
    Journal::open(root, STORE, &JournalKey::default(), ReclaimLock::take(root)?)
}

fn read(root: &Path) -> Result<Journal, Error> {
    Journal::read(root, STORE, &JournalKey::default(), Seals::Last)
}

/// The text of the entry that begins at a byte.
fn text_at(bytes: &[u8], at: usize) -> &[u8] {
    let (fixed, rest) = bytes[at..].split_first_chunk::<FRAME_FIXED_LEN>().unwrap();
    &rest[..Fixed::decode(fixed).unwrap().header_len as usize]
}

/// A frame as a script could write it.
fn frame(entry: &Entry, seal: &[u8]) -> Vec<u8> {
    let text = serde_json::to_vec(entry).unwrap();
    [&Fixed::of(&text, seal, seal.len()).encode()[..], &text, seal].concat()
}

fn three_entries() -> (tempfile::TempDir, Vec<u8>, Vec<usize>) {
    let temp = tempfile::tempdir().unwrap();
    let mut ends = vec![FILE_HEADER_LEN];
    let mut journal = open(temp.path()).unwrap();
    for user in 0..3 {
        journal.append(DateTime::from_timestamp(1_772_500_000, 0).unwrap(), skip(user)).unwrap();
        ends.push(std::fs::metadata(path(temp.path())).unwrap().len() as usize);
    }
    let bytes = std::fs::read(path(temp.path())).unwrap();
    (temp, bytes, ends)
}

#[test]
fn r9_written_entries_are_read_back_and_continued() {
    let (temp, _, _) = three_entries();
    let mut journal = open(temp.path()).unwrap();
    assert_eq!((journal.sequence(), journal.entries().len()), (3, 3));
    let head = journal.head().to_owned();
    let entry = journal.append(DateTime::UNIX_EPOCH, skip(9)).unwrap();
    assert_eq!((entry.sequence, &entry.prev_hash), (4, &head));
    assert!(open(temp.path()).is_err_and(|e| e.kind() == ErrorKind::TryLater), "one process at a time");
    assert_eq!(read(temp.path()).unwrap().head(), journal.head());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(path(temp.path())).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Why: a kill inside an append, at any byte, must cost only that entry, and the journal must accept further entries.
#[test]
fn r9_an_incomplete_last_entry_is_removed_at_any_length() {
    let (temp, bytes, ends) = three_entries();
    for cut in (ends[2]..ends[3]).step_by(7) {
        let mut torn = bytes[..cut].to_vec();
        for zeros in [0, bytes.len() - cut, 5000] {
            torn.truncate(cut);
            torn.resize(cut + zeros, 0);
            std::fs::write(path(temp.path()), &torn).unwrap();
            let mut journal = open(temp.path()).unwrap_or_else(|e| panic!("{cut} {zeros}: {:?}", e.lines()));
            assert_eq!(journal.sequence(), 2, "cut at {cut}, {zeros} zeros");
            journal.append(DateTime::UNIX_EPOCH, skip(7)).unwrap();
            assert_eq!(read(temp.path()).unwrap().sequence(), 3);
        }
    }
}

/// Why: a full disk left 0 bytes when the journal was created, and reclamation refused the store from then on.
#[test]
fn r9_a_journal_without_entries_is_started_again() {
    let header = FileKind::Journal.encode_header(STORE.as_u64_pair().1);
    for left in [&[][..], &header[..1], &header[..FILE_HEADER_LEN - 1], &[0; 5]] {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory(temp.path())).unwrap();
        std::fs::write(path(temp.path()), left).unwrap();
        assert_eq!(read(temp.path()).unwrap().sequence(), 0);
        let mut journal = open(temp.path()).unwrap_or_else(|e| panic!("{left:?}: {:?}", e.lines()));
        journal.append(DateTime::UNIX_EPOCH, skip(1)).unwrap();
        drop(journal);
        assert_eq!(read(temp.path()).unwrap().sequence(), 1);

        // A store with a plan had a journal, and other bytes are not ours.
        std::fs::write(path(temp.path()), b"x").unwrap();
        assert!(read(temp.path()).is_err_and(|e| e.kind() == ErrorKind::Refused));
        std::fs::create_dir(directory(temp.path()).join("plans")).unwrap();
        std::fs::write(directory(temp.path()).join("plans/p.json"), b"{}").unwrap();
        std::fs::write(path(temp.path()), left).unwrap();
        assert!(open(temp.path()).is_err_and(|e| e.kind() == ErrorKind::Refused), "{left:?}");
    }
}

/// Why: every change of recorded actions must be found, in the last entry as well.
#[test]
fn r9_a_changed_byte_is_damage_wherever_it_is() {
    let (temp, bytes, _) = three_entries();
    for at in 0..bytes.len() {
        if (6..8).contains(&at) {
            continue; // reserved
        }
        let mut changed = bytes.clone();
        changed[at] ^= 0x21;
        std::fs::write(path(temp.path()), &changed).unwrap();
        match read(temp.path()) {
            Err(e) => assert_eq!(e.kind(), ErrorKind::Refused),
            // A length that now reaches past the end looks torn: the chain then ends earlier, which the head stored elsewhere
            // shows.
            Ok(journal) => assert!(journal.sequence() < 3, "byte {at}"),
        }
    }
}

#[test]
fn r9_an_entry_taken_out_or_made_up_breaks_the_chain() {
    let (temp, bytes, ends) = three_entries();
    let cut = [&bytes[..ends[1]], &bytes[ends[2]..]].concat();
    std::fs::write(path(temp.path()), cut).unwrap();
    assert!(read(temp.path()).is_err_and(|e| e.lines()[0].contains("entry 3 stands where 2")));
    // A forger who corrects the checksums still has to change all later entries.
    let mut entry: Entry = serde_json::from_slice(text_at(&bytes, ends[0])).unwrap();
    entry.record = skip(8);
    let forged = [&bytes[..ends[0]], &frame(&entry, &[]), &bytes[ends[1]..]].concat();
    std::fs::write(path(temp.path()), forged).unwrap();
    assert!(read(temp.path()).is_err_and(|e| e.lines()[0].contains("was changed")));
}

/// R7: a restored copy of a store must not continue its journal.
#[test]
fn r7_another_store_s_journal_is_refused() {
    let (temp, _, _) = three_entries();
    assert!(
        Journal::read(temp.path(), Uuid::from_u128(78), &JournalKey::default(), Seals::Last)
            .is_err_and(|e| e.kind() == ErrorKind::Refused)
    );
}

/// The journal of an older version: the same entries without seals, and no key.
fn strip_seals(root: &Path) {
    let bytes = std::fs::read(path(root)).unwrap();
    let mut stripped = bytes[..FILE_HEADER_LEN].to_vec();
    let mut at = FILE_HEADER_LEN;
    while at < bytes.len() {
        let text = text_at(&bytes, at);
        let fixed = Fixed::decode(bytes[at..].first_chunk().unwrap()).unwrap();
        stripped.extend_from_slice(&Fixed::of(text, &[], 0).encode());
        stripped.extend_from_slice(text);
        at += FRAME_FIXED_LEN + text.len() + fixed.stored_len as usize;
    }
    std::fs::write(path(root), stripped).unwrap();
}

fn anchor_file(root: &Path) -> PathBuf {
    root.join("lake/_journal/anchor.json")
}

#[track_caller]
fn refused(root: &Path, told: &str) {
    for opened in [read(root), open(root)] {
        let e = opened.err().unwrap_or_else(|| panic!("accepted: {told}"));
        assert_eq!(e.kind(), ErrorKind::Refused);
        assert!(e.lines().join(" ").contains(told), "{:?}", e.lines());
    }
}

/// R9: the chain has no secret, so a script could continue it; the seal needs the key.
#[test]
fn r9_an_entry_without_the_store_s_seal_is_refused() {
    let (temp, bytes, ends) = three_entries();
    let journal = read(temp.path()).unwrap();
    let prev_hash = journal.head().to_owned();
    let entry = Entry::new(4, DateTime::UNIX_EPOCH, prev_hash, skip(9));
    let write = |seal: &[u8]| {
        std::fs::write(path(temp.path()), [&bytes[..], &frame(&entry, seal)].concat()).unwrap();
    };
    write(&[]);
    refused(temp.path(), "entry 4 has no seal");
    // Another entry's seal, and one by a key of the script.
    let text_len = text_at(&bytes, ends[2]).len();
    write(&bytes[ends[2] + FRAME_FIXED_LEN + text_len..]);
    refused(temp.path(), "entry 4 has no valid seal");
    let other = tempfile::tempdir().unwrap();
    drop(open(other.path()).unwrap());
    let key = std::fs::read(directory(other.path()).join("journal_key")).unwrap();
    let key = ssh_key::PrivateKey::from_openssh(key).unwrap();
    let text = [format!("{STORE}\n").as_bytes(), &serde_json::to_vec(&entry).unwrap()].concat();
    let seal = key.sign("boxseat-journal", ssh_key::HashAlg::Sha512, &text).unwrap();
    write(seal.to_pem(ssh_key::LineEnding::LF).unwrap().trim_end().as_bytes());
    refused(temp.path(), "entry 4 has no valid seal");
    std::fs::write(path(temp.path()), &bytes).unwrap();
    assert_eq!(Journal::read(temp.path(), STORE, &JournalKey::default(), Seals::Each).unwrap().sequence(), 3);
}

/// R9: a journal without seals counts as an older version's only where no file knows a key; after the first seal every entry
/// needs one.
#[test]
fn r9_the_entries_of_an_older_version_are_a_prefix() {
    let (temp, ..) = three_entries();
    let root = temp.path();
    strip_seals(root);
    refused(root, "entry 1 has no seal");
    std::fs::remove_file(anchor_file(root)).unwrap();
    refused(root, "the store has a key for it");
    std::fs::remove_file(directory(root).join("journal_key")).unwrap();
    assert_eq!(read(root).unwrap().unsealed(), 3);
    let mut journal = open(root).unwrap();
    // Killed here, the anchor has the prefix, and the next command continues.
    assert_eq!(read(root).unwrap().unsealed(), 3);
    journal.append(DateTime::UNIX_EPOCH, skip(4)).unwrap();
    journal.anchor().unwrap();
    drop(journal);
    let journal = Journal::read(root, STORE, &JournalKey::default(), Seals::Each).unwrap();
    assert_eq!((journal.sequence(), journal.unsealed()), (5, 3));
    let begun = &journal.entries()[3].record;
    assert!(matches!(begun, Record::SealBegun { unsealed_entries: 3, .. }), "{begun:?}");
    // Neither the prefix alone nor a script's entry after it counts any more.
    strip_seals(root);
    refused(root, "entry 4 has no seal");
}

/// R9: an attacker removed the seals, appended an approval, and wrote into the anchor that no entry had a seal.
#[test]
fn r9_a_journal_whose_anchor_says_that_it_never_had_seals_is_refused_under_the_configured_key() {
    let (temp, ..) = three_entries();
    let root = temp.path();
    let text = std::fs::read_to_string(anchor_file(root)).unwrap();
    let mut anchor: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pinned = PublicKey::from_openssh(anchor["public_key"].as_str().unwrap()).unwrap();
    let pinned = JournalKey { public: Some(pinned), ..JournalKey::default() };
    let read = || Journal::read(root, STORE, &pinned, Seals::Last);
    assert_eq!(read().unwrap().sequence(), 3);
    strip_seals(root);
    anchor["unsealed_entries"] = anchor["entries"].clone();
    anchor["unsealed_head"] = anchor["head"].clone();
    std::fs::write(anchor_file(root), anchor.to_string()).unwrap();
    let Err(refused) = read() else { panic!("a journal without seals was read") };
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(refused.lines()[0].contains("entry 1 has no seal"), "{:?}", refused.lines());
}

/// R9: the anchor and the key belong together, and the configuration can name the key, too.
#[test]
fn r9_key_and_anchor_are_there_and_belong_together() {
    let (temp, bytes, ends) = three_entries();
    let root = temp.path();
    let (anchor, key) = (anchor_file(root), directory(root).join("journal_key"));
    let (anchored, private) = (std::fs::read(&anchor).unwrap(), std::fs::read(&key).unwrap());
    open(root).unwrap().anchor().unwrap();
    std::fs::write(path(root), &bytes[..ends[2]]).unwrap();
    refused(root, "ends with entry 2, and lake/_journal/anchor.json has entry 3");
    std::fs::remove_file(path(root)).unwrap();
    refused(root, "ends with entry 0");
    std::fs::write(path(root), &bytes).unwrap();
    std::fs::remove_file(&anchor).unwrap();
    refused(root, "anchor.json, which names");
    std::fs::write(&anchor, b"{").unwrap();
    refused(root, "is damaged");
    std::fs::write(&anchor, &anchored).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert_eq!(read(root).unwrap().sequence(), 3, "readers need no private key");
    assert!(open(root).is_err_and(|e| e.kind() == ErrorKind::Usage && e.lines()[0].contains("is missing")));
    // Killed before the key file was renamed.
    durable_write(&directory(root).join("journal_key.new"), &private);
    drop(open(root).unwrap());
    assert!(key.exists() && !directory(root).join("journal_key.new").exists());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(open(root).is_err_and(|e| e.lines()[0].contains("can be read by others")));

    let other = tempfile::tempdir().unwrap();
    drop(open(other.path()).unwrap());
    let theirs = open(other.path()).unwrap().public_key().unwrap().to_owned();
    let pinned = PublicKey::from_openssh(&theirs).unwrap();
    let pinned = JournalKey { public: Some(pinned), ..JournalKey::default() };
    let e = Journal::read(root, STORE, &pinned, Seals::Last).err().unwrap();
    assert!(e.lines()[0].contains("another key than [reclaim] journal_key"), "{:?}", e.lines());
}

fn durable_write(path: &Path, bytes: &[u8]) {
    let access = boxseat_storage::durable::Access::from(0o600);
    boxseat_storage::durable::write_file(path, bytes, &access).unwrap();
}

/// R9: a changed journal is refused, or it has the same entries, even if the change has the right checksums.
#[test]
fn fuzz_journal() {
    let (temp, bytes, _) = three_entries();
    open(temp.path()).unwrap().anchor().unwrap();
    let truth = read(temp.path()).unwrap().entries().to_vec();
    boxseat_fuzz::run_over("journal", vec![bytes], |input| {
        std::fs::write(path(temp.path()), input.mutated).unwrap();
        match read(temp.path()) {
            Ok(journal) if truth != journal.entries() => Err(format!("accepted as {:?}", journal.entries())),
            _ => Ok(()),
        }
    });
}
