//! Which configuration file a command reads: the one of `--config` or `BOXSEAT_CONFIG`, or the first that exists of the standard ones.

use std::path::{Path, PathBuf};

use super::{variable, variable_os};
use crate::cli::Global;

/// The configuration file of a command, and whether the operator chose it on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The file; `None` if no file is read.
    pub(super) path: Option<PathBuf>,
    /// `--config` or `--no-config`. `BOXSEAT_CONFIG` is no such choice: a variable can be left over, or missing, without notice.
    pub(super) is_chosen: bool,
}

impl Found {
    pub(super) fn of(global: &Global) -> Self {
        if global.config.is_some() || global.no_config {
            return Self { path: global.config.clone(), is_chosen: true };
        }
        let named = variable_os("BOXSEAT_CONFIG").map(PathBuf::from);
        Self {
            path: named.or_else(|| standard_files().into_iter().find(|path| exists(path))),
            is_chosen: false,
        }
    }
}

/// The file that `boxseat init` writes if none is named: that of the machine for root, else that of the user.
pub(crate) fn file_to_write(is_root: bool) -> PathBuf {
    let user = || user_directory(variable("XDG_CONFIG_HOME"), variable("HOME"));
    match variable_os("BOXSEAT_CONFIG") {
        Some(named) => named.into(),
        None if is_root => PathBuf::from(OF_THE_MACHINE),
        None => user().map_or_else(|| PathBuf::from(OF_THE_DIRECTORY), |directory| directory.join(BELOW)),
    }
}

/// The standard files, in the order in which they are looked for.
pub(crate) fn standard_files() -> Vec<PathBuf> {
    candidates(variable("XDG_CONFIG_HOME"), variable("HOME"))
}

fn candidates(config_home: Option<String>, home: Option<String>) -> Vec<PathBuf> {
    let user = user_directory(config_home, home).map(|directory| directory.join(BELOW));
    [Some(PathBuf::from(OF_THE_DIRECTORY)), user, Some(PathBuf::from(OF_THE_MACHINE))]
        .into_iter()
        .flatten()
        .collect()
}

fn user_directory(config_home: Option<String>, home: Option<String>) -> Option<PathBuf> {
    config_home.map(PathBuf::from).or_else(|| home.map(|home| PathBuf::from(home).join(".config")))
}

/// Whether a file is there. One that cannot be looked for is skipped with a warning: analysts may not enter `/etc/boxseat`.
fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or_else(|e| {
        tracing::warn!("cannot look for the configuration {}: {e}", path.display());
        false
    })
}

/// The path without links resolved, as it is recorded and shown.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

const OF_THE_DIRECTORY: &str = "boxseat.toml";
/// Below the user's configuration directory (<https://specifications.freedesktop.org/basedir-spec/latest/>).
const BELOW: &str = "boxseat/boxseat.toml";
const OF_THE_MACHINE: &str = "/etc/boxseat/boxseat.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_outranks_user_and_user_outranks_machine() {
        let of = |config_home: Option<&str>, home: Option<&str>| {
            let found = candidates(config_home.map(str::to_owned), home.map(str::to_owned));
            found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        let machine = "/etc/boxseat/boxseat.toml";
        assert_eq!(
            of(Some("/cfg"), Some("/home/ada")),
            ["boxseat.toml", "/cfg/boxseat/boxseat.toml", machine]
        );
        assert_eq!(
            of(None, Some("/home/ada")),
            ["boxseat.toml", "/home/ada/.config/boxseat/boxseat.toml", machine]
        );
        assert_eq!(of(None, None), ["boxseat.toml", machine], "cron may have no HOME");
    }
}
