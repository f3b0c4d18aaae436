//! Parses the bodies of `POST /users` and `PUT /users/{id}` into changes, and refuses the bodies that Box would refuse.

use serde_json::{Map, Value};

use crate::errors::ApiError;
use crate::people::{Notification, Person, Role, Words};

/// The fields that a body sets. `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) login: Option<String>,
    pub(crate) role: Option<Role>,
    status: Option<String>,
    language: Option<String>,
    timezone: Option<String>,
    job_title: Option<String>,
    phone: Option<String>,
    address: Option<String>,
    /// `Some(None)` is unlimited.
    space_amount: Option<Option<i64>>,
    tracking_codes: Option<Vec<(String, String)>>,
    can_see_managed_users: Option<bool>,
    is_sync_enabled: Option<bool>,
    is_external_collab_restricted: Option<bool>,
    is_exempt_from_device_limits: Option<bool>,
    is_exempt_from_login_verification: Option<bool>,
    is_content_available_when_inactive: Option<bool>,
    pub(crate) is_platform_access_only: Option<bool>,
    pub(crate) external_app_user_id: Option<String>,
    /// `Some(None)` removes the address.
    notification: Option<Option<String>>,
    /// `"enterprise":null`: the user leaves the enterprise. A body without the key does not do this.
    pub(crate) rolls_out: bool,
}

const STATUSES: &[&str] = &["active", "inactive", "cannot_delete_edit", "cannot_delete_edit_upload"];
const NAME_CHARS: usize = 50;
const TEXT_CHARS: usize = 100;
const ADDRESS_CHARS: usize = 255;

/// Parses the body of a new account.
pub(crate) fn read_new(body: &Map<String, Value>) -> Result<Change, ApiError> {
    let mut change = read(body)?;
    change.is_platform_access_only = flag(body, "is_platform_access_only")?;
    if change.name.is_none() {
        return Err(invalid("name", "name is required"));
    }
    if change.login.is_none() && change.is_platform_access_only != Some(true) {
        return Err(invalid("login", "login is required"));
    }
    Ok(Change { notification: None, rolls_out: false, ..change })
}

/// Parses the body of an update.
pub(crate) fn read(body: &Map<String, Value>) -> Result<Change, ApiError> {
    // The simulator sends no mail and shows no form, so `notify` and the reset have no effect. Both must still be well formed.
    flag(body, "notify")?;
    flag(body, "is_password_reset_required")?;
    let name = text(body, "name", NAME_CHARS)?;
    if name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        return Err(invalid("name", "name must not be empty"));
    }
    let login = text(body, "login", ADDRESS_CHARS)?;
    if login.as_deref().is_some_and(|login| !is_email(login)) {
        return Err(invalid("login", "login must be an email address"));
    }
    let status = text(body, "status", TEXT_CHARS)?;
    if status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(invalid("status", "unknown status"));
    }
    let role = match text(body, "role", TEXT_CHARS)?.as_deref() {
        None => None,
        Some("coadmin") => Some(Role::Coadmin),
        Some("user") => Some(Role::User),
        // Only Box appoints and removes the primary admin.
        Some(_) => return Err(invalid("role", "role must be coadmin or user")),
    };
    let rolls_out = match body.get("enterprise") {
        None => false,
        Some(Value::Null) => true,
        Some(_) => return Err(invalid("enterprise", "enterprise can only be set to null")),
    };
    Ok(Change {
        name,
        login,
        role,
        status,
        rolls_out,
        language: text(body, "language", TEXT_CHARS)?,
        timezone: text(body, "timezone", TEXT_CHARS)?,
        job_title: text(body, "job_title", TEXT_CHARS)?,
        phone: text(body, "phone", TEXT_CHARS)?,
        address: text(body, "address", ADDRESS_CHARS)?,
        space_amount: space_amount(body)?,
        tracking_codes: tracking_codes(body)?,
        can_see_managed_users: flag(body, "can_see_managed_users")?,
        is_sync_enabled: flag(body, "is_sync_enabled")?,
        is_external_collab_restricted: flag(body, "is_external_collab_restricted")?,
        is_exempt_from_device_limits: flag(body, "is_exempt_from_device_limits")?,
        is_exempt_from_login_verification: flag(body, "is_exempt_from_login_verification")?,
        is_content_available_when_inactive: flag(
            body,
            "is_collaborated_content_available_when_owner_inactive",
        )?,
        is_platform_access_only: None,
        external_app_user_id: text(body, "external_app_user_id", ADDRESS_CHARS)?,
        notification: notification(body)?,
    })
}

impl Change {
    /// Whether the body changes anything besides leaving the enterprise.
    pub(crate) fn edits(&self) -> bool {
        Change { rolls_out: false, ..self.clone() } != Change::default()
    }

    /// Whether the body sets a status other than active.
    pub(crate) fn restricts(&self) -> bool {
        self.status.as_deref().is_some_and(|status| status != STATUSES[0])
    }

    /// Sets everything except name, login and role, which have their own methods.
    pub(crate) fn apply(self, person: &mut Person) {
        let words = |field: &mut Words, value: Option<String>| {
            if let Some(value) = value {
                *field = value.into();
            }
        };
        words(&mut person.status, self.status);
        words(&mut person.language, self.language);
        words(&mut person.timezone, self.timezone);
        words(&mut person.job_title, self.job_title);
        set(&mut person.phone, self.phone.map(String::into_boxed_str));
        set(&mut person.address, self.address.map(String::into_boxed_str));
        set(&mut person.space_amount, self.space_amount);
        let codes = self.tracking_codes.map(|codes| {
            codes.into_iter().map(|(name, value)| (name.into(), value.into_boxed_str())).collect()
        });
        set(&mut person.tracking_codes, codes);
        set(&mut person.can_see_managed_users, self.can_see_managed_users);
        set(&mut person.is_sync_enabled, self.is_sync_enabled);
        set(&mut person.is_external_collab_restricted, self.is_external_collab_restricted);
        set(&mut person.is_exempt_from_device_limits, self.is_exempt_from_device_limits);
        set(&mut person.is_exempt_from_login_verification, self.is_exempt_from_login_verification);
        set(&mut person.is_content_available_when_inactive, self.is_content_available_when_inactive);
        if let Some(id) = self.external_app_user_id {
            person.external_app_user_id = Some(id.into());
        }
        if let Some(email) = self.notification {
            let unconfirmed =
                |email: String| Box::new(Notification { email: email.into(), is_confirmed: false });
            person.notification = email.map(unconfirmed);
        }
    }
}

/// Whether the text has the form of an email address.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    !local.is_empty()
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && !text.contains(char::is_whitespace)
        && !domain.contains('@')
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// A text of limited length; null counts as absent.
fn text(body: &Map<String, Value>, key: &'static str, max_chars: usize) -> Result<Option<String>, ApiError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= max_chars => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(invalid(key, &format!("at most {max_chars} characters"))),
        Some(_) => Err(invalid(key, "must be a string")),
    }
}

fn flag(body: &Map<String, Value>, key: &'static str) -> Result<Option<bool>, ApiError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(invalid(key, "must be true or false")),
    }
}

fn space_amount(body: &Map<String, Value>) -> Result<Option<Option<i64>>, ApiError> {
    const KEY: &str = "space_amount";
    match body.get(KEY) {
        None | Some(Value::Null) => Ok(None),
        Some(amount) => match amount.as_i64() {
            Some(-1) => Ok(Some(None)),
            Some(bytes) if bytes > 0 => Ok(Some(Some(bytes))),
            _ => Err(invalid(KEY, "must be a number of bytes, or -1")),
        },
    }
}

fn tracking_codes(body: &Map<String, Value>) -> Result<Option<Vec<(String, String)>>, ApiError> {
    const KEY: &str = "tracking_codes";
    let codes = match body.get(KEY) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(codes)) => codes,
        Some(_) => return Err(invalid(KEY, "must be a list")),
    };
    let code = |code: &Value| {
        let part = |key: &str| code.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((part("name")?, part("value")?))
    };
    let codes: Option<Vec<_>> = codes.iter().map(code).collect();
    codes.map(Some).ok_or_else(|| invalid(KEY, "each needs a name and a value"))
}

fn notification(body: &Map<String, Value>) -> Result<Option<Option<String>>, ApiError> {
    const KEY: &str = "notification_email";
    match body.get(KEY) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(object) => match object.get("email").and_then(Value::as_str) {
            Some(email) if is_email(email) => Ok(Some(Some(email.to_owned()))),
            _ => Err(invalid(KEY, "email must be an email address")),
        },
    }
}

fn invalid(parameter: &'static str, reason: &str) -> ApiError {
    ApiError::bad_parameter("invalid_parameter", parameter, reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(json: Value) -> Map<String, Value> {
        json.as_object().expect("an object").clone()
    }

    #[test]
    fn a_whole_body_reaches_the_person() {
        let change = read(&body(json!({
            "status": "inactive", "space_amount": -1, "phone": "1", "job_title": "Cook", "address": "",
            "tracking_codes": [{"type": "tracking_code", "name": "Department", "value": "IT"}],
            "is_sync_enabled": false, "notification_email": {"email": "a@mail.example"}, "notify": false,
        })))
        .expect("a good body");
        assert!(change.edits() && change.restricts() && !change.rolls_out);
        let mut person = Person::bare(1, "Ada", "ada@acme.test", 0);
        change.apply(&mut person);
        assert_eq!((&*person.status, person.space_amount, &*person.phone), ("inactive", None, "1"));
        assert_eq!(person.tracking_codes, [("Department".into(), "IT".into())]);
        assert!(!person.is_sync_enabled && person.can_see_managed_users);
        assert!(person.notification.as_ref().is_some_and(|mail| !mail.is_confirmed));
        let cleared = read(&body(json!({"notification_email": null}))).expect("null removes it");
        cleared.apply(&mut person);
        assert!(person.notification.is_none());
    }

    #[test]
    fn only_a_written_null_rolls_out() {
        assert!(read(&body(json!({"enterprise": null, "notify": false}))).expect("good").rolls_out);
        assert_eq!(read(&body(json!({"notify": false}))), Ok(Change::default()));
    }

    #[test]
    fn what_box_refuses() {
        for bad in [
            json!({"name": " "}),
            json!({"name": "x".repeat(51)}),
            json!({"name": 7}),
            json!({"login": "nobody"}),
            json!({"status": "pending"}),
            json!({"role": "admin"}),
            json!({"enterprise": "900000001"}),
            json!({"notify": "no"}),
            json!({"space_amount": -2}),
            json!({"space_amount": "many"}),
            json!({"tracking_codes": [{"name": "Department"}]}),
            json!({"notification_email": {"email": "a b"}}),
            json!({"address": "x".repeat(256)}),
        ] {
            assert!(read(&body(bad.clone())).is_err(), "{bad}");
        }
        assert!(read_new(&body(json!({"name": "Ada"}))).is_err());
        assert!(read_new(&body(json!({"login": "ada@acme.test"}))).is_err());
        assert!(read_new(&body(json!({"name": "App", "is_platform_access_only": true}))).is_ok());
    }

    #[test]
    fn addresses() {
        assert!(is_email("ada+old@acme.test"));
        for bad in ["", "ada", "@acme.test", "ada@acme", "ada@@acme.test", "ada@acme.", "a da@acme.test"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
