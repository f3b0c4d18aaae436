//! Files that are replaced or written to while a command reads them.

use std::fs;

use boxseat_schemas::table::EMAIL_ALIASES;
use boxseat_storage::digest::FileDigest;
use uuid::Uuid;

use super::*;
use crate::testing::once;

/// A lake with a record and two runs, and the data file of the first.
fn recorded() -> (TempDir, Lake, PathBuf) {
    let (directory, lake) = lake();
    lake.begin_record(Uuid::from_u128(7)).unwrap();
    lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a", "b"]))).unwrap();
    let file = files(&directory.path().join("lake/email_aliases"), ".parquet").remove(0);
    lake.commit(&EMAIL_ALIASES, RunNumber(2), &mut once(aliases(2, &["c"]))).unwrap();
    (directory, lake, file)
}

/// A complete data file of the same size with other rows.
fn forged(of: &Path) -> PathBuf {
    let (directory, lake) = lake();
    lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a", "x"]))).unwrap();
    let file = files(&directory.path().join("lake/email_aliases"), ".parquet").remove(0);
    let forged = of.with_extension("forged");
    fs::copy(file, &forged).unwrap();
    forged
}

#[track_caller]
fn altered<T>(result: Result<T>, file: &Path) {
    let Err(error) = result else { panic!("it was read") };
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(error.altered().is_some_and(|altered| altered.to_string().contains(name)), "{error}");
}

fn read(lake: &Lake, run: u64) -> Result<()> {
    lake.scan(&EMAIL_ALIASES, &[RunNumber(run)], None)?.try_for_each(|batch| batch.map(drop))
}

/// Why: a file was compared once per process, and then read by its name.
#[test]
#[expect(clippy::disallowed_methods, reason = "an attacker's renames need not last")]
fn a_file_that_takes_the_name_after_the_comparison_is_not_read() {
    let (_directory, lake, file) = recorded();
    let (forged, kept) = (forged(&file), file.with_extension("kept"));
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a", "b"]);
    fs::rename(&file, &kept).unwrap();
    fs::rename(&forged, &file).unwrap();
    altered(read(&lake, 1), &file);
    // The compared file has its name again.
    fs::rename(&kept, &file).unwrap();
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a", "b"]);
    lake.refuse_changes().unwrap();
    // Replacing a directory changes no time of the files in it.
    let table = file.parent().unwrap().to_owned();
    let (aside, evil) = (table.with_file_name("aside"), table.with_file_name("evil"));
    fs::create_dir(&evil).unwrap();
    fs::write(evil.join(file.file_name().unwrap()), "no parquet").unwrap();
    fs::rename(&table, &aside).unwrap();
    fs::rename(&evil, &table).unwrap();
    altered(read(&lake, 1), &file);
    fs::rename(&table, &evil).unwrap();
    fs::rename(&aside, &table).unwrap();
    lake.refuse_changes().unwrap();
}

/// Why: bytes that are written and restored leave digest and length unchanged.
#[test]
fn nothing_is_committed_after_a_file_was_written_to_and_put_back() {
    let (_directory, lake, file) = recorded();
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a", "b"]);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, "others").unwrap();
    fs::write(&file, &whole).unwrap();
    let commit = lake.commit(&EMAIL_ALIASES, RunNumber(3), &mut once(aliases(3, &["d"])));
    let Err(error) = commit else { panic!("it was committed") };
    let text = format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
    assert!(text.contains("was changed or replaced while it was read"), "{text}");
    altered(lake.refuse_changes(), &file);
    altered(lake.note_beside("boxseat.duckdb", FileDigest::of(b"a")), &file);
    // The next process finds the original bytes.
    let next = Lake::open(file.ancestors().nth(3).unwrap(), 0o640).unwrap();
    assert_eq!(ids(&next, &EMAIL_ALIASES, &[1, 2]), ["a", "b", "c"]);
    next.commit(&EMAIL_ALIASES, RunNumber(3), &mut once(aliases(3, &["d"]))).unwrap();
}

/// Retention and other processes replace and remove files, with a line in the record.
#[test]
fn files_replaced_or_removed_by_boxseat_are_not_changes() {
    let (directory, lake, _) = recorded();
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1, 2]), ["a", "b", "c"]);
    let other = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
    for run in 3..40 {
        other.commit(&EMAIL_ALIASES, RunNumber(run), &mut once(aliases(run, &["d"]))).unwrap();
    }
    lake.refuse_changes().unwrap();
    lake.commit(&EMAIL_ALIASES, RunNumber(40), &mut once(aliases(40, &["e"]))).unwrap();
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1, 40]), ["a", "b", "e"]);
}
