//! Every byte below a store, as text: files as they are, unpacked pages of spools and rows of Parquet files, and every cell of the
//! published file.

use std::path::{Path, PathBuf};

use boxseat_pipeline::spool::{SpoolDir, SpoolReader};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::support::World;

/// The places in the store of a world that contain one of these texts, ignoring case.
pub(crate) fn places_of(world: &World, texts: &[&str]) -> Vec<String> {
    let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    let mut found = Vec::new();
    let mut look = |place: String, bytes: &[u8]| {
        let lower = bytes.to_ascii_lowercase();
        let hits = texts.iter().filter(|text| contains(&lower, text.as_bytes()));
        found.extend(hits.map(|text| format!("{place}: {text}")));
    };
    for path in files_below(&world.store()) {
        let place = path.strip_prefix(world.store()).unwrap().display().to_string();
        look(place.clone(), &std::fs::read(&path).unwrap());
        if path.extension().is_some_and(|ending| ending == "parquet") {
            let file = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
            for row in file.get_row_iter(None).unwrap() {
                look(format!("{place}, a row"), row.unwrap().to_string().as_bytes());
            }
        }
        if path.ends_with("pages.spool") {
            let run = path.parent().unwrap();
            let number = run.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let reader = SpoolReader::open(&SpoolDir::of(run.parent().unwrap(), number), number).unwrap();
            reader
                .replay(|frame, body| {
                    look(format!("{place}, {frame:?}"), body);
                    Ok(())
                })
                .unwrap();
        }
    }
    if world.store().join("boxseat.duckdb").exists() {
        let tables = "SELECT table_name FROM duckdb_tables() WHERE NOT internal";
        for table in world.rows(tables) {
            let table = table["table_name"].as_str().unwrap();
            let rows = world.ok(&["query", "--format", "csv", &format!("SELECT * FROM \"{table}\"")]);
            look(format!("boxseat.duckdb, {table}"), rows.stdout.as_bytes());
        }
    }
    found.sort();
    found.dedup();
    found
}

pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
