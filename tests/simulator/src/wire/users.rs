//! A user as JSON.

use super::{Fields, Object, time};
use crate::chance::{self, About};
use crate::config::Config;
use crate::drift::Drift;
use crate::errors::ApiError;
use crate::people::{Person, Standing};

/// Every field of a user, in the order in which it is written.
const NAMES: &[&str] = &[
    "type",
    "id",
    "name",
    "login",
    "created_at",
    "modified_at",
    "language",
    "timezone",
    "space_amount",
    "space_used",
    "max_upload_size",
    "status",
    "job_title",
    "phone",
    "address",
    "avatar_url",
    "notification_email",
    "role",
    "tracking_codes",
    "can_see_managed_users",
    "is_sync_enabled",
    "is_external_collab_restricted",
    "is_exempt_from_device_limits",
    "is_exempt_from_login_verification",
    "enterprise",
    "my_tags",
    "hostname",
    "is_platform_access_only",
    "external_app_user_id",
    CONTENT_AVAILABLE,
];
/// Box added it in August 2026 (box/box-openapi#613).
const CONTENT_AVAILABLE: &str = "is_collaborated_content_available_when_owner_inactive";
const BASE: &[&str] = &["type", "id"];
const MINI: &[&str] = &["type", "id", "name", "login"];
/// The first seventeen names are what a user has when no `fields` is sent.
const STANDARD_COUNT: usize = 17;

/// The fields of a response to `?fields=…`, or to a request without it.
pub(crate) fn fields(config: &Config, list: Option<&str>) -> Result<Fields, ApiError> {
    match list {
        None | Some("") => Ok(Fields::standard(NAMES, &NAMES[..STANDARD_COUNT])),
        Some(list)
            if config.refuses_content_available && list.split(',').any(|name| name == CONTENT_AVAILABLE) =>
        {
            Err(ApiError::bad_parameter("bad_request", "fields", "unknown field"))
        }
        Some(list) => Ok(Fields::named(NAMES, if config.mini_with_fields { MINI } else { BASE }, list)),
    }
}

/// Writes a user. Managed users show all requested fields, others only their names.
pub(crate) fn write(out: &mut Vec<u8>, config: &Config, drift: &Drift, person: &Person, fields: Fields) {
    let row = Row { config, person };
    let is_ours = person.standing == Standing::Managed;
    let mut object = Object::new(out);
    for (n, name) in NAMES.iter().enumerate().filter(|(n, _)| fields.has(*n)) {
        if is_ours || n < MINI.len() {
            row.field(&mut object, name);
        } else {
            object.null(name);
        }
    }
    if is_ours {
        row.unknown_field(&mut object);
        drift.write_field(&mut object, config, person.id);
    }
    object.end();
}

/// An undocumented field that a few rows have, whatever `fields` requests.
pub(crate) fn unknown_field(config: &Config, person: &Person) -> Option<(&'static str, &'static str)> {
    if !config.awkward || !chance::happens(config.seed, About::ExtraField, person.id, 0.01) {
        return None;
    }
    Some(match person.id % 3 {
        0 => ("sunset_cohort", r#""2027-Q1""#),
        1 => ("is_ai_enabled", "true"),
        _ => ("licence_hint", r#"{"tier":"plus","seats":[1,2]}"#),
    })
}

struct Row<'a> {
    config: &'a Config,
    person: &'a Person,
}

impl Row<'_> {
    fn field(&self, object: &mut Object<'_>, name: &str) {
        let person = self.person;
        match name {
            "type" => object.text(name, "user"),
            "id" => self.id(object),
            "name" => object.text(name, &person.name),
            "login" => object.text(name, &person.login),
            "created_at" => object.text(name, &self.time(person.created_at)),
            "modified_at" => object.text(name, &self.time(person.modified_at)),
            "language" => object.text(name, &person.language),
            "timezone" => object.text(name, &person.timezone),
            "space_amount" => object.raw(name, &self.space_amount()),
            "space_used" => object.raw(name, &self.maybe_exponent(person.space_used)),
            "max_upload_size" => object.int(name, person.max_upload_size),
            "status" => object.text(name, &person.status),
            "job_title" => object.text(name, &person.job_title),
            "phone" => self.phone(object),
            "address" => object.text(name, &person.address),
            "avatar_url" => object.text(name, &avatar_url(person)),
            "notification_email" => self.notification_email(object),
            "role" => object.text(name, person.role.as_str()),
            "tracking_codes" => object.array(name, &person.tracking_codes, |out, (code, value)| {
                let mut item = Object::new(out);
                item.text("type", "tracking_code");
                item.text("name", code);
                item.text("value", value);
                item.end();
            }),
            "can_see_managed_users" => object.bool(name, person.can_see_managed_users),
            "is_sync_enabled" => object.bool(name, person.is_sync_enabled),
            "is_external_collab_restricted" => object.bool(name, person.is_external_collab_restricted),
            "is_exempt_from_device_limits" => object.bool(name, person.is_exempt_from_device_limits),
            "is_exempt_from_login_verification" => {
                object.bool(name, person.is_exempt_from_login_verification)
            }
            "enterprise" => {
                let mut enterprise = object.object(name);
                enterprise.text("type", "enterprise");
                enterprise.text("id", &self.config.enterprise_id);
                enterprise.text("name", &self.config.enterprise_name);
                enterprise.end();
            }
            "my_tags" => object.raw(name, "[]"),
            "hostname" => object.text(name, &hostname(self.config)),
            "is_platform_access_only" => object.bool(name, person.is_platform_access_only),
            CONTENT_AVAILABLE => object.bool(name, person.is_content_available_when_inactive),
            "external_app_user_id" => match &person.external_app_user_id {
                Some(id) => object.text(name, id),
                None => object.null(name),
            },
            _ => {}
        }
    }

    fn id(&self, object: &mut Object<'_>) {
        if self.odd(About::NumericId, 0.005) {
            object.raw("id", &self.person.id.to_string());
        } else {
            object.text("id", &self.person.id.to_string());
        }
    }

    /// Some rows write unlimited as -1, others as large powers of ten.
    fn space_amount(&self) -> String {
        let Some(bytes) = self.person.space_amount else {
            let n = if self.config.awkward {
                chance::below(self.config.seed, About::UnlimitedSpelling, self.person.id, 20)
            } else {
                0
            };
            return match n {
                10..16 => "1000000000000000",
                16 => "1e15",
                17 => "1.0E+15",
                18 => "1.23e+31",
                _ => "-1",
            }
            .to_owned();
        };
        self.maybe_exponent(bytes)
    }

    /// Exact powers of ten and small multiples of them can be written with an exponent.
    fn maybe_exponent(&self, bytes: i64) -> String {
        let zeros = (1..18).take_while(|n| bytes != 0 && bytes % 10i64.pow(*n) == 0).count();
        if zeros < 6 || !self.odd(About::ExponentSpelling, 0.5) {
            return bytes.to_string();
        }
        let mantissa = bytes / 10i64.pow(zeros as u32);
        format!("{mantissa}.0e+{zeros:02}")
    }

    fn phone(&self, object: &mut Object<'_>) {
        let phone = &self.person.phone;
        let is_plain_number =
            !phone.is_empty() && !phone.starts_with('0') && phone.bytes().all(|b| b.is_ascii_digit());
        if is_plain_number && self.odd(About::NumericPhone, 0.05) {
            object.raw("phone", phone);
        } else {
            object.text("phone", phone);
        }
    }

    fn notification_email(&self, object: &mut Object<'_>) {
        const KEY: &str = "notification_email";
        if let Some(notification) = &self.person.notification {
            let mut inner = object.object(KEY);
            inner.text("email", &notification.email);
            inner.bool("is_confirmed", notification.is_confirmed);
            inner.end();
            return;
        }
        let n = if self.config.awkward {
            chance::below(self.config.seed, About::EmptyNotification, self.person.id, 10)
        } else {
            0
        };
        object.raw(
            KEY,
            match n {
                0..4 => "null",
                4 => "{}",
                _ => "[]",
            },
        );
    }

    fn unknown_field(&self, object: &mut Object<'_>) {
        if let Some((key, json)) = unknown_field(self.config, self.person) {
            object.raw(key, json);
        }
    }

    fn time(&self, at: i64) -> String {
        time(at, self.config.seed, self.person.id, self.config.awkward)
    }

    fn odd(&self, about: About, share: f64) -> bool {
        self.config.awkward && chance::happens(self.config.seed, about, self.person.id, share)
    }
}

/// Writes type, id, name and login, as in memberships.
pub(crate) fn write_mini(mut object: Object<'_>, person: &Person) {
    object.text("type", "user");
    object.text("id", &person.id.to_string());
    object.text("name", &person.name);
    object.text("login", &person.login);
    object.end();
}

pub(crate) fn avatar_url(person: &Person) -> String {
    format!("https://acme.app.box.test/api/avatar/large/{}", person.id)
}

pub(crate) fn hostname(config: &Config) -> String {
    format!("https://{}.app.box.test/", config.login_domain.split('.').next().unwrap_or("acme"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::people;

    fn render(config: &Config, person: &Person, list: Option<&str>) -> Value {
        let mut out = Vec::new();
        write(&mut out, config, &Drift::default(), person, fields(config, list).unwrap());
        serde_json::from_slice(&out).expect("valid JSON")
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn without_fields_the_standard_set() {
        let config = Config::plain();
        let user = render(&config, &people::make(&config, 1, 1), None);
        assert_eq!(keys(&user).len(), 17);
        assert!(user.get("role").is_none() && user.get("status").is_some());
    }

    #[test]
    fn naming_fields_switches_the_standard_set_off() {
        let config = Config::plain();
        let person = people::make(&config, 1, 1);
        let mut user = keys(&render(&config, &person, Some("role,no_such_field"))).join(" ");
        assert_eq!(user, "id login name role type");
        let config = Config { mini_with_fields: false, ..config };
        user = keys(&render(&config, &person, Some("tracking_codes"))).join(" ");
        assert_eq!(user, "id tracking_codes type");
    }

    #[test]
    fn somebody_elses_user_shows_only_names() {
        let config = Config::plain();
        let mut person = people::make(&config, 1, 1);
        person.standing = Standing::RolledOut;
        let user = render(&config, &person, Some("login,status,enterprise"));
        assert!(user["status"].is_null() && user["enterprise"].is_null());
        assert_eq!(user["login"], *person.login);
    }

    #[test]
    fn exponents_are_exact() {
        let config = Config { awkward: true, ..Config::default() };
        let texts: Vec<String> = (0..40)
            .map(|slot| {
                let person = Person { space_used: 2_500_000_000, ..people::make(&config, slot, slot as u64) };
                Row { config: &config, person: &person }.maybe_exponent(person.space_used)
            })
            .collect();
        assert!(texts.iter().any(|text| text == "25.0e+08"));
        assert!(texts.iter().any(|text| text == "2500000000"));
    }
}
