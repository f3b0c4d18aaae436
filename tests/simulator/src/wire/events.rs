//! An admin event as JSON, in the forms observed at Box.

use super::{Object, time};
use crate::chance::{self, About};
use crate::events::{Actor, Event, Form, Kind, NO_GROUP, NO_SUBJECT, event_id};
use crate::groups::group_id_of;
use crate::world::World;

pub(crate) fn write(out: &mut Vec<u8>, world: &World, index: usize) {
    let event = &world.log.all()[index];
    let (config, n) = (&world.config, index as u64);
    let when = |at: i64| time(at, config.seed, n, config.awkward);
    let odds = chance::mix(config.seed, About::EventSession, n);
    let mut object = Object::new(out);
    object.text("type", "event");
    object.text("event_type", event.kind.as_str());
    object.text("event_id", &event_id(config.seed, index));
    object.text("created_at", &when(event.at.into()));
    if config.awkward && odds.is_multiple_of(50) {
        object.text("recorded_at", &when(i64::from(event.at) + 1 + (odds >> 32) as i64 % 5));
    }
    object.text("ip_address", &address(world, n));
    if config.awkward && odds % 20 == 1 {
        object.text("session_id", &format!("{:022x}", odds));
    } else {
        object.null("session_id");
    }
    write_action_by(&mut object, event);
    write_details(&mut object, world, event, odds);
    write_actor(object.object("created_by"), world, event);
    write_source(&mut object, world, event, n);
    world.drift.write_field(&mut object, config, n);
    object.end();
}

fn address(world: &World, n: u64) -> String {
    let odds = chance::mix(world.config.seed, About::EventAddress, n);
    match odds % 100 {
        0..3 if world.config.awkward => "Unknown IP".to_owned(),
        3..8 if world.config.awkward => format!("2001:db8::{:x}:{:x}", odds >> 48, odds >> 32 & 0xffff),
        8..50 => format!("198.51.100.{}", odds >> 32 & 0xff),
        _ => format!("203.0.113.{}", odds >> 32 & 0xff),
    }
}

fn write_action_by(object: &mut Object<'_>, event: &Event) {
    if event.actor == Actor::Support {
        object.raw("action_by", r#"{"type":"user","id":"box_support","name":"","login":""}"#);
    } else {
        object.null("action_by");
    }
}

fn write_details(object: &mut Object<'_>, world: &World, event: &Event, odds: u64) {
    const KEY: &str = "additional_details";
    let is_about_member = event.group != NO_GROUP && event.subject != NO_SUBJECT;
    if is_about_member {
        let mut details = object.object(KEY);
        write_group_name(&mut details, world, event);
        details.end();
    } else if world.config.awkward && event.kind == Kind::Login && odds % 10 == 3 {
        object.raw(KEY, r#"{"service_name":"Box Drive","is_sso":true,"version_id":null}"#);
    } else if matches!(event.kind, Kind::Download | Kind::Upload) {
        object.raw(KEY, r#"{"size":18520,"ekm_id":"7b11","service_id":"4","service_name":"Box Web"}"#);
    } else if world.config.awkward && odds % 40 == 5 {
        object.raw(KEY, "{}");
    } else {
        object.null(KEY);
    }
}

fn write_actor(mut object: Object<'_>, world: &World, event: &Event) {
    object.text("type", "user");
    match event.actor {
        Actor::Person(slot) => write_names(&mut object, world, slot, event, Form::Full),
        Actor::App(app) => {
            let account = &world.apps.get(app).account;
            object.text("id", &account.id.to_string());
            object.text("name", &account.name);
            object.text("login", &account.login);
        }
        Actor::Unknown => {
            object.text("id", "2");
            object.text("name", "Unknown User");
            object.text("login", "");
        }
        Actor::Support => {
            object.text("id", "box_support");
            object.text("name", "Box Support");
            object.text("login", "");
        }
    }
    object.end();
}

fn write_source(object: &mut Object<'_>, world: &World, event: &Event, n: u64) {
    const KEY: &str = "source";
    if event.subject == NO_SUBJECT {
        // A group-level event has neither type nor id.
        let mut source = object.object(KEY);
        write_group_name(&mut source, world, event);
        source.end();
        return;
    }
    if matches!(event.kind, Kind::Download | Kind::Upload) {
        let mut source = object.object(KEY);
        source.text("item_type", "file");
        source.text("item_id", &(560_000_000_000 + n).to_string());
        source.text("item_name", "report.pdf");
        source.raw("parent", r#"{"type":"folder","name":"All Files","id":"0"}"#);
        source.end();
        return;
    }
    if event.form == Form::NoSource {
        object.null(KEY);
        return;
    }
    let mut source = object.object(KEY);
    source.text("type", "user");
    write_names(&mut source, world, event.subject, event, event.form);
    source.end();
}

/// Login and name of a user at the time of the event.
fn write_names(object: &mut Object<'_>, world: &World, slot: u32, event: &Event, form: Form) {
    let (login, name) = world.names_at(slot as usize, event.at.into());
    if form != Form::LoginOnly {
        object.text("id", &world.people[slot as usize].id.to_string());
    }
    if form != Form::IdOnly {
        object.text("name", name);
        object.text("login", login);
    }
}

fn write_group_name(object: &mut Object<'_>, world: &World, event: &Event) {
    object.text("group_id", &group_id_of(event.group as usize).to_string());
    object.text("group_name", world.group_name_at(event.group as usize, event.at.into()));
}
