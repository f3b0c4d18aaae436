//! Operations of an administrator on accounts: creating, editing several fields at once, changing logins and aliases.

use crate::change_log::{Columns, LOGIN, ROLE, Told};
use crate::changes::Change;
use crate::errors::ApiError;
use crate::events::{Kind, NO_GROUP};
use crate::people::{self, Person, Role, Standing};
use crate::world::{News, World};

impl World {
    /// Creates an account from a checked body.
    pub(crate) fn create(&mut self, change: Change, news: News) -> Result<usize, ApiError> {
        let slot = self.people.len();
        let id = people::id_of(self.config.seed, slot);
        let is_app_user = change.is_platform_access_only == Some(true);
        let login = match &change.login {
            Some(login) if !is_app_user => login.clone(),
            _ => format!("AppUser_{slot}_{id}@boxdevedition.com"),
        };
        if self.is_taken(&login) {
            return Err(login_used());
        }
        let external_id = change.external_app_user_id.as_deref();
        let is_used = |person: &Person| {
            person.is_managed()
                && external_id.is_some()
                && person.external_app_user_id.as_deref() == external_id
        };
        if self.people.iter().any(is_used) {
            return Err(ApiError::new(409, "conflict", "external_app_user_id is used by another app user"));
        }
        let name = change.name.clone().unwrap_or_default();
        let mut person = Person::bare(id, &name, &login, self.now);
        person.is_platform_access_only = is_app_user;
        person.habit = if is_app_user { people::Habit::Machine } else { people::Habit::Often };
        person.role = change.role.unwrap_or(Role::User);
        change.apply(&mut person);
        Ok(self.join(person, news))
    }

    /// Applies a checked body to an account. A body with any number of fields is one EDIT_USER. Leaving the enterprise has no
    /// event.
    pub(crate) fn update(&mut self, slot: usize, mut change: Change, news: News) -> Result<(), ApiError> {
        let now = self.now;
        let before = Columns::of(&self.people[slot]);
        let (mut login_told, mut role_told, mut edit_told) = (Told::NOTHING, Told::NOTHING, Told::NOTHING);
        let new_login =
            change.login.take().filter(|login| !login.eq_ignore_ascii_case(&self.people[slot].login));
        let edits = change.edits() || new_login.is_some();
        if let Some(login) = new_login {
            login_told = self.change_login(slot, &login, news)?;
        }
        let new_name = change.name.take().filter(|name| **name != *self.people[slot].name);
        if let Some(name) = new_name {
            self.remember_names(slot, now);
            self.people[slot].name = name.into();
        }
        if let Some(role) = change.role.filter(|role| *role != self.people[slot].role) {
            self.people[slot].role = role;
            role_told = self.note(news, now, Kind::ChangeAdminRole, slot, NO_GROUP);
        }
        let rolls_out = change.rolls_out;
        if edits {
            change.apply(&mut self.people[slot]);
            edit_told = self.edited(slot, now, news);
        }
        self.note_columns(before, slot, now, |column| match column {
            LOGIN => login_told.or(edit_told),
            ROLE => role_told.or(edit_told),
            _ => edit_told,
        });
        if rolls_out {
            self.roll_out(slot, now);
        }
        Ok(())
    }

    /// A confirmed alias changes places with the login. Another address of the own domain replaces the login, and no alias
    /// remains.
    fn change_login(&mut self, slot: usize, login: &str, news: News) -> Result<Told, ApiError> {
        let is_it = |email: &str| email.eq_ignore_ascii_case(login);
        let alias = self.people[slot].aliases.iter().position(|alias| is_it(&alias.email));
        match alias {
            Some(which) if self.people[slot].aliases[which].is_confirmed => {
                Ok(self.swap_alias_and_login(slot, which, self.now, news))
            }
            None if self.is_taken(login) => Err(login_used()),
            None if self.is_own_domain(login) => {
                self.remember_names(slot, self.now);
                self.people[slot].login = login.into();
                Ok(Told::NOTHING)
            }
            _ => {
                let text = "The address must be confirmed before it can become the login";
                Err(ApiError::new(403, "user_email_confirmation_required", text))
            }
        }
    }

    /// Creates the account of a deleted or rolled-out user again. Name, job title and tracking codes stay the same; the id is
    /// new. Content, groups and aliases are not restored. `None` while a user signs in with the address.
    pub(crate) fn recreate(&mut self, slot: usize, at: i64, news: News) -> Option<usize> {
        let old = &self.people[slot];
        if old.is_managed() || self.is_taken(&old.login) {
            return None;
        }
        let id = people::id_of(self.config.seed, self.people.len());
        let mut person = Person::bare(id, &old.name, &old.login, at);
        person.habit = people::Habit::Never;
        person.job_title = old.job_title.clone();
        person.tracking_codes = old.tracking_codes.clone();
        Some(self.join(person, news))
    }

    /// Gives the login of one user to another user. The first user, if still in the enterprise, gets a new login.
    pub(crate) fn reassign_login(&mut self, from: usize, to: usize, news: News) -> Option<()> {
        let login = self.people[from].login.clone();
        if from == to || self.is_taken_by_others(&[from, to], &login) {
            return None;
        }
        let renamed = |world: &mut World, slot: usize, login: &str| {
            world.remember_names(slot, world.now);
            let now = world.now;
            world.edit(slot, now, news, |person| person.login = login.into());
        };
        if self.people[from].is_managed() {
            renamed(self, from, &format!("former.{login}"));
        }
        renamed(self, to, &login);
        Some(())
    }

    /// Whether any account signs in with the address, in this enterprise or elsewhere.
    pub(crate) fn is_taken(&self, email: &str) -> bool {
        self.people
            .iter()
            .chain(&self.externals)
            .chain(self.apps.accounts())
            .any(|person| signs_in(person, email))
    }

    /// Whether any account except the one in `slot` signs in with the address.
    pub(crate) fn is_taken_by_another(&self, slot: usize, email: &str) -> bool {
        self.is_taken_by_others(&[slot], email)
    }

    fn is_taken_by_others(&self, slots: &[usize], email: &str) -> bool {
        let others = self.people.iter().enumerate().filter(|(slot, _)| !slots.contains(slot));
        others.into_iter().any(|(_, person)| signs_in(person, email))
    }

    /// Whether the domain of an address is verified for the enterprise.
    pub(crate) fn is_own_domain(&self, email: &str) -> bool {
        let domain = email.rsplit('@').next().unwrap_or_default();
        domain.eq_ignore_ascii_case(&self.config.login_domain)
    }
}

fn signs_in(person: &Person, email: &str) -> bool {
    !matches!(person.standing, Standing::Deleted { .. })
        && (person.login.eq_ignore_ascii_case(email)
            || person.aliases.iter().any(|alias| alias.email.eq_ignore_ascii_case(email)))
}

/// 409: the address is the login or alias of an account.
pub(crate) fn login_used() -> ApiError {
    ApiError::new(409, "user_login_already_used", "User with the specified login already exists")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::apps::App;
    use crate::changes::{read, read_new};
    use crate::config::Config;
    use crate::events::Actor;

    const BY_APP: News = News::By(Actor::App(App::Reading));

    fn world() -> World {
        World::new(Config { users: 40, ..Config::plain() })
    }

    fn change(body: Value) -> Change {
        read(body.as_object().expect("an object")).expect("a good body")
    }

    fn news_of(world: &mut World, act: impl FnOnce(&mut World)) -> Vec<&'static str> {
        let before = world.log.all().len();
        act(world);
        world.publish();
        world.log.all()[before..].iter().map(|event| event.kind.as_str()).collect()
    }

    #[test]
    fn a_body_of_many_fields_is_one_edit() {
        let mut world = world();
        let told = news_of(&mut world, |world| {
            let body = change(json!({"name": "New Name", "status": "inactive", "phone": "1"}));
            world.update(5, body, BY_APP).expect("nothing stands against it");
        });
        assert_eq!(told, ["EDIT_USER"]);
        assert_eq!((&*world.people[5].name, world.people[5].modified_at), ("New Name", world.now));
        assert_eq!(
            news_of(&mut world, |world| world.update(5, change(json!({"role": "coadmin"})), BY_APP).unwrap()),
            ["CHANGE_ADMIN_ROLE", "EDIT_USER"]
        );
        let told = news_of(&mut world, |world| {
            world.update(6, change(json!({"enterprise": null})), BY_APP).unwrap();
        });
        assert!(told.is_empty() && world.people[6].standing == Standing::RolledOut, "{told:?}");
    }

    #[test]
    fn an_alias_changes_places_with_the_login() {
        let mut world = world();
        let old = world.people[5].login.clone();
        world.people[5].aliases.clear();
        world.add_alias(5, "maiden@acme.test", true, 0);
        world.add_alias(5, "later@acme.test", false, 0);
        let told = news_of(&mut world, |world| {
            world.update(5, change(json!({"login": "Maiden@acme.test"})), BY_APP).expect("a confirmed alias");
        });
        assert_eq!(told, ["EMAIL_ALIAS_PRIMARY", "EDIT_USER"]);
        assert_eq!(&*world.people[5].login, "maiden@acme.test");
        assert!(world.people[5].aliases.iter().any(|alias| alias.email == old && alias.is_confirmed));

        let refused = |world: &mut World, login: &str| {
            world.update(5, change(json!({"login": login})), BY_APP).expect_err("refused")
        };
        let taken = world.people[7].login.to_string();
        assert_eq!(refused(&mut world, &taken), login_used());
        let unconfirmed = refused(&mut world, "later@acme.test");
        assert_eq!(unconfirmed, refused(&mut world, "somebody@elsewhere.example"));
        world.update(5, change(json!({"login": "plain@acme.test"})), BY_APP).expect("an address of ours");
        assert_eq!(world.people[5].aliases.len(), 2, "no alias is made of a login that was simply replaced");
    }

    #[test]
    fn newcomers_and_app_users() {
        let mut world = world();
        let new = |body: Value| read_new(body.as_object().expect("an object")).expect("a good body");
        let ada = json!({"name": "Ada", "login": "ada.new@acme.test", "status": "inactive"});
        let told = news_of(&mut world, |world| {
            world.create(new(ada.clone()), BY_APP).expect("a free login");
        });
        assert_eq!(told, ["NEW_USER"]);
        let made = world.people.last().expect("the new user");
        assert_eq!((&*made.status, made.space_used, made.created_at), ("inactive", 0, world.now));
        assert_eq!(world.create(new(ada), BY_APP), Err(login_used()));
        let app = json!({"name": "App", "is_platform_access_only": true, "external_app_user_id": "x-1"});
        let slot = world.create(new(app.clone()), BY_APP).expect("an app user");
        assert!(world.people[slot].login.ends_with("@boxdevedition.com"));
        assert!(world.create(new(app), BY_APP).is_err(), "the external id is used");
    }
}
