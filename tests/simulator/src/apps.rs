//! The applications of the enterprise. Each signs in with its own credentials, has its own account, and is limited by its
//! scopes.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::people::{DAY_SECS, Person, Role};

/// One of the applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum App {
    /// The application that reads: [`Config::client_id`].
    Reading,
    /// The application that changes users: [`Config::actions_client_id`]. A client can use one application for both.
    Acting,
    /// The identity provider, which pushes attributes and creates accounts. No client signs in as this application.
    Directory,
}

/// What the primary admin has authorised an application to do. A call outside the scopes gets 403 `insufficient_scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scopes {
    /// "Manage users": users, their aliases, avatars and sessions.
    pub manage_managed_users: bool,
    /// "Manage groups": groups and memberships.
    pub manage_groups: bool,
    /// "Manage enterprise properties": the admin streams.
    pub manage_enterprise_properties: bool,
    /// "Write all files and folders": folders, and moving content.
    pub root_readwrite: bool,
    /// "Perform actions as users": the `As-User` header.
    pub as_user: bool,
    /// "App + Enterprise" access. Without it, lists silently contain only the application's own users, and requests for all
    /// other ids get [`Config::out_of_reach_status`].
    pub whole_enterprise: bool,
}

impl Default for Scopes {
    fn default() -> Self {
        Scopes {
            manage_managed_users: true,
            manage_groups: true,
            manage_enterprise_properties: true,
            root_readwrite: true,
            as_user: true,
            whole_enterprise: true,
        }
    }
}

impl Scopes {
    /// Whether the scopes allow a call.
    pub(crate) fn allow(self, method: &str, path: &str) -> bool {
        let mut parts = path.trim_start_matches("/2.0/").split('/');
        match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
            ("users", Some("me"), _) => true,
            ("users", _, Some("folders")) | ("folders", ..) => self.root_readwrite,
            ("users", _, Some("memberships")) | ("groups", ..) => self.manage_groups,
            ("users", ..) => self.manage_managed_users,
            ("events", ..) => method != "GET" || self.manage_enterprise_properties,
            _ => true,
        }
    }
}

/// The applications with their accounts. No list contains these accounts.
#[derive(Debug)]
pub(crate) struct Apps([Application; 3]);

#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) account: Person,
    pub(crate) scopes: Scopes,
}

const EVERY: [App; 3] = [App::Reading, App::Acting, App::Directory];

impl Apps {
    pub(crate) fn new(config: &Config) -> Self {
        Apps(EVERY.map(|app| application(config, app)))
    }

    pub(crate) fn get(&self, app: App) -> &Application {
        &self.0[app as usize]
    }

    pub(crate) fn get_mut(&mut self, app: App) -> &mut Application {
        &mut self.0[app as usize]
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Person> {
        self.0.iter().map(|application| &application.account)
    }

    /// The application with this account.
    pub(crate) fn by_account(&self, id: u64) -> Option<App> {
        EVERY.into_iter().find(|app| self.get(*app).account.id == id)
    }
}

fn application(config: &Config, app: App) -> Application {
    let (id, name, login, scopes) = match app {
        App::Reading => (7_700_000_001, "boxseat nightly", "1234567_a1b2c3D4e5", config.scopes),
        App::Acting => (7_700_000_002, "boxseat actions", "1234568_f6g7h8I9j0", config.actions_scopes),
        App::Directory => (7_700_000_003, "Directory sync", "1234569_k1l2m3N4o5", Scopes::default()),
    };
    let login = format!("AutomationUser_{login}@boxdevedition.com");
    let mut account = Person::bare(id, name, &login, config.now_secs() - 900 * DAY_SECS);
    account.role = Role::Coadmin;
    account.is_platform_access_only = true;
    let whole_enterprise = scopes.whole_enterprise && !config.app_access_only;
    Application { account, scopes: Scopes { whole_enterprise, ..scopes } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_opens_its_own_calls() {
        let none = Scopes {
            manage_managed_users: false,
            manage_groups: false,
            manage_enterprise_properties: false,
            root_readwrite: false,
            as_user: false,
            whole_enterprise: false,
        };
        let calls = [
            ("GET", "/2.0/users", Scopes { manage_managed_users: true, ..none }),
            ("DELETE", "/2.0/users/1", Scopes { manage_managed_users: true, ..none }),
            ("POST", "/2.0/users/terminate_sessions", Scopes { manage_managed_users: true, ..none }),
            ("GET", "/2.0/users/1/memberships", Scopes { manage_groups: true, ..none }),
            ("GET", "/2.0/groups/1", Scopes { manage_groups: true, ..none }),
            ("PUT", "/2.0/users/1/folders/0", Scopes { root_readwrite: true, ..none }),
            ("GET", "/2.0/folders/0/items", Scopes { root_readwrite: true, ..none }),
            ("GET", "/2.0/events", Scopes { manage_enterprise_properties: true, ..none }),
        ];
        for (method, path, opens) in calls {
            assert!(opens.allow(method, path) && !none.allow(method, path), "{method} {path}");
        }
        assert!(none.allow("GET", "/2.0/users/me") && none.allow("OPTIONS", "/2.0/events"));
    }
}
