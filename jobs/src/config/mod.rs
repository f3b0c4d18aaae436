//! Flags over `BOXSEAT_*` environment over `boxseat.toml`, resolved once into [`Settings`].

mod credentials;
mod file;
mod licence;
mod recorded;
mod search;
mod settings;
mod store_path;

pub(crate) use credentials::{
    actions_credentials, credentials, describe_actions_sign_in, describe_sign_in, has_actions_credentials,
    has_credentials,
};
pub(crate) use recorded::RecordedConfiguration;
pub(crate) use search::{file_to_write, standard_files};
pub(crate) use settings::{Retention, Settings, store_of};
pub(crate) use store_path::check_path;

/// Whether the environment disables colour (<https://no-color.org>).
pub(crate) fn no_color() -> bool {
    variable("NO_COLOR").is_some()
}

/// An environment variable as bytes of the system. An empty value counts as unset.
#[expect(clippy::disallowed_methods, reason = "one of the two places that read single variables")]
pub(crate) fn variable_os(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// An environment variable. An empty value counts as unset, and so does text that is not UTF-8.
#[expect(clippy::disallowed_methods, reason = "one of the two places that read single variables")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
