//! Fuzz targets of wire types and run records. The targets of other formats are next to their parsers.

use crate::box_api::{ApiError, EmailAlias, Event, Group, Membership, Page, User, json, read};
use crate::run::Reservation;

#[test]
fn fuzz_wire_page() {
    boxseat_fuzz::run("wire_page", |input| {
        let (body, _) = json::repaired(input.mutated);
        let is_error =
            serde_json::from_slice::<serde_json::Value>(&body).is_ok_and(|value| value["type"] == "error");
        match Page::parse(&body) {
            Ok(_) if is_error => Err("an error object was read as a page".to_owned()),
            Ok(page) => {
                for entry in &page.entries {
                    read_every_record(entry.get());
                }
                Ok(())
            }
            Err(_) => Ok(()),
        }
    });
}

#[test]
fn fuzz_wire_records() {
    boxseat_fuzz::run("wire_records", |input| {
        _ = ApiError::of(input.mutated);
        let (body, _) = json::repaired(input.mutated);
        if let Ok(text) = std::str::from_utf8(&body) {
            read_every_record(text);
        }
        Ok(())
    });
}

fn read_every_record(raw: &str) {
    _ = read::<User>(raw);
    _ = read::<Group>(raw);
    _ = read::<Membership>(raw);
    _ = read::<EmailAlias>(raw);
    if let Ok(read) = read::<Event>(raw) {
        let source = read.record.source();
        _ = (read.record.affected_user(&source), read.record.group_id(&source), read.record.actor_id());
    }
}

/// The file has no checksum of its own. The test therefore only requires that there is no panic.
#[test]
fn fuzz_run_record() {
    boxseat_fuzz::run("run_record", |input| {
        match serde_json::from_slice::<Reservation>(input.mutated) {
            Ok(reservation) if reservation.check().is_ok() => _ = reservation.slices(),
            _ => {}
        }
        Ok(())
    });
}
