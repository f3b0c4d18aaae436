//! User accounts: what the simulator stores of a user, and the generation of the initial ones.
//!
//! Only facts are stored here. [`crate::wire`] decides how a fact is written in the API (an id as a number, unlimited as 1e15),
//! so the truth can be read from these fields directly.

use std::borrow::Cow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::chance::{self, About};
use crate::config::Config;
use crate::names;

/// Text that mostly comes from a table and sometimes from a client.
pub(crate) type Words = Cow<'static, str>;

pub(crate) const DAY_SECS: i64 = 86_400;

/// A user account.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) login: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) standing: Standing,
    pub(crate) status: Words,
    pub(crate) role: Role,
    pub(crate) habit: Habit,
    pub(crate) language: Words,
    pub(crate) timezone: Words,
    pub(crate) job_title: Words,
    pub(crate) phone: Box<str>,
    pub(crate) address: Box<str>,
    /// Bytes; `None` is unlimited.
    pub(crate) space_amount: Option<i64>,
    pub(crate) space_used: i64,
    pub(crate) max_upload_size: i64,
    pub(crate) notification: Option<Box<Notification>>,
    pub(crate) tracking_codes: Vec<(Words, Box<str>)>,
    pub(crate) can_see_managed_users: bool,
    pub(crate) is_sync_enabled: bool,
    pub(crate) is_external_collab_restricted: bool,
    pub(crate) is_exempt_from_device_limits: bool,
    pub(crate) is_exempt_from_login_verification: bool,
    /// Whether shared folders stay available to other users while the account is inactive.
    pub(crate) is_content_available_when_inactive: bool,
    pub(crate) is_platform_access_only: bool,
    pub(crate) external_app_user_id: Option<Box<str>>,
    /// Unix seconds, as all times in this crate.
    pub(crate) created_at: i64,
    pub(crate) modified_at: i64,
    pub(crate) aliases: Vec<Alias>,
    /// Indexes into the memberships, including removed ones.
    pub(crate) memberships: Vec<u32>,
}

/// The address for mail about the account.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    pub(crate) email: Box<str>,
    pub(crate) is_confirmed: bool,
}

/// Another address that signs in to the same account.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) id: u64,
    pub(crate) email: Box<str>,
    pub(crate) is_confirmed: bool,
}

/// Whether the enterprise still has this account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Managed,
    /// Deleted permanently. Requests for the id get 404.
    Deleted {
        at: i64,
    },
    /// Turned into a free account outside the enterprise. Requests for the id still work, with null fields.
    RolledOut,
    /// An account of another enterprise that collaborates on content.
    External,
}

/// Role within the enterprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Admin,
    Coadmin,
    User,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Coadmin => "coadmin",
            Role::User => "user",
        }
    }
}

/// How a user works with Box. It determines past logins and logins of the stepped days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    Often,
    Sometimes,
    Seldom,
    /// Signed in until a number of days ago (lower and upper bound), then stopped.
    Stopped {
        from_days: u16,
        to_days: u16,
    },
    /// Has an account and never signed in.
    Never,
    /// Works through installed apps that renew tokens: activity without LOGIN.
    Quiet,
    /// A program, such as an app user: tokens only.
    Machine,
    /// No user works with this account.
    Unattended,
}

impl Habit {
    /// Expected LOGIN events on an average day.
    pub(crate) fn logins_per_day(self) -> f64 {
        match self {
            Habit::Often => 0.16,
            Habit::Sometimes => 0.10,
            Habit::Seldom => 0.03,
            Habit::Stopped { .. } => 0.05,
            Habit::Never | Habit::Quiet | Habit::Machine | Habit::Unattended => 0.0,
        }
    }
}

pub(crate) const ACTIVE: &str = "active";
pub(crate) const INACTIVE: &str = "inactive";

/// First user id: more than 32 bits, as Box's since 2018.
const FIRST_ID: u64 = 9_001_000_000;
/// Ids ascend with gaps. The step is fixed, so a slot is computed from an id without a map.
const ID_STEP: u64 = 13;

/// The id of the user in `slot`.
pub(crate) fn id_of(seed: u64, slot: usize) -> u64 {
    let slot = slot as u64;
    FIRST_ID + slot * ID_STEP + chance::below(seed, About::IdGap, slot, ID_STEP)
}

/// The slot of an id, if it is in the range of this enterprise.
pub(crate) fn slot_of(id: u64) -> Option<usize> {
    usize::try_from(id.checked_sub(FIRST_ID)? / ID_STEP).ok()
}

impl Person {
    pub(crate) fn is_managed(&self) -> bool {
        self.standing == Standing::Managed
    }

    /// Whether shared folders of this account are available to other users.
    pub(crate) fn shows_folders(&self) -> bool {
        &*self.status != INACTIVE || self.is_content_available_when_inactive
    }

    /// A user that the stepped days may change: not the primary admin, an app user or a pseudo user.
    pub(crate) fn is_ordinary(&self) -> bool {
        self.is_managed()
            && self.role != Role::Admin
            && !matches!(self.habit, Habit::Machine | Habit::Unattended)
    }

    /// An account with only id, name and login set.
    pub(crate) fn bare(id: u64, name: &str, login: &str, created_at: i64) -> Self {
        Person {
            id,
            login: login.into(),
            name: name.into(),
            standing: Standing::Managed,
            status: ACTIVE.into(),
            role: Role::User,
            habit: Habit::Unattended,
            language: "en".into(),
            timezone: "America/Los_Angeles".into(),
            job_title: "".into(),
            phone: "".into(),
            address: "".into(),
            space_amount: Some(10 << 30),
            space_used: 0,
            max_upload_size: 5 << 30,
            notification: None,
            tracking_codes: Vec::new(),
            can_see_managed_users: true,
            is_sync_enabled: true,
            is_external_collab_restricted: false,
            is_exempt_from_device_limits: false,
            is_exempt_from_login_verification: false,
            is_content_available_when_inactive: false,
            is_platform_access_only: false,
            external_app_user_id: None,
            created_at,
            modified_at: created_at,
            aliases: Vec::new(),
            memberships: Vec::new(),
        }
    }
}

/// The user in `slot`, the `ordinal`-th user of the list.
pub(crate) fn make(config: &Config, slot: usize, ordinal: u64) -> Person {
    let rng = &mut ChaCha8Rng::seed_from_u64(chance::mix(config.seed, About::Person, slot as u64));
    let now = config.now_secs();
    let created_at = created(rng, config, ordinal);
    let mut person = newcomer(rng, config, slot, created_at);
    person.modified_at =
        now.min(created_at + rng.random_range(0..=(now - created_at).max(1))).max(created_at);
    person.habit = habit(rng);
    if chance::happens(config.seed, About::Idle, slot as u64, config.idle_share) {
        person.habit = Habit::Stopped { from_days: 100, to_days: 170 };
    }
    person.space_used = (rng.random_range(0.0f64..1.0).powi(4) * 80e9) as i64;
    settle(rng, config, &mut person);
    if config.awkward {
        make_awkward(rng, config, slot, ordinal, &mut person);
    }
    rank(ordinal, &mut person);
    person
}

/// A user who joins at `created_at`. The initial users and the joiners of later days are both created here.
pub(crate) fn newcomer(rng: &mut ChaCha8Rng, config: &Config, slot: usize, created_at: i64) -> Person {
    let (name, local) = names::person(slot as u64);
    let login = format!("{local}@{}", config.login_domain);
    let mut person = Person::bare(id_of(config.seed, slot), &name, &login, created_at);
    person.habit = Habit::Often;
    person.language = pick(rng, names::LANGUAGES).into();
    person.timezone = pick(rng, names::TIMEZONES).into();
    person.job_title = pick(rng, names::TITLES).into();
    person.space_amount = match rng.random_range(0..4) {
        0 => None,
        1 => Some(100_000_000_000),
        _ => Some(10 << 30),
    };
    person.can_see_managed_users = rng.random_bool(0.9);
    person.is_sync_enabled = rng.random_bool(0.8);
    person.is_external_collab_restricted = rng.random_bool(0.05);
    person.is_exempt_from_device_limits = rng.random_bool(0.02);
    person.is_exempt_from_login_verification = rng.random_bool(0.02);
    if rng.random_bool(0.4) {
        person.phone = format!("6505{:06}", rng.random_range(0..1_000_000)).into();
    }
    if rng.random_bool(0.2) {
        person.address =
            format!("{} Jefferson Ave, Redwood City, CA 94063", rng.random_range(1..2000)).into();
    }
    if rng.random_bool(0.6) {
        person.tracking_codes.push(("Department".into(), pick(rng, names::DEPARTMENTS).into()));
        if rng.random_bool(0.4) {
            person
                .tracking_codes
                .push(("Cost centre".into(), format!("{:04}", rng.random_range(0..300)).into()));
        }
    }
    person
}

/// Data from years of use: notification addresses, aliases, restrictions, suspensions.
fn settle(rng: &mut ChaCha8Rng, config: &Config, person: &mut Person) {
    let local = person.login.split('@').next().unwrap_or_default().to_owned();
    if rng.random_bool(0.15) {
        let email = format!("{local}@mail.example").into();
        person.notification = Some(Box::new(Notification { email, is_confirmed: rng.random_bool(0.8) }));
    }
    let alias_count = match rng.random_range(0..100) {
        0..70 => 0,
        70..92 => 1,
        92..99 => 2,
        _ => 6,
    };
    for n in 0..alias_count {
        let email =
            format!("{local}+{}@{}", ["old", "maiden", "team", "x", "y", "z"][n % 6], config.login_domain);
        let id = person.id * 10 + n as u64;
        person.aliases.push(Alias { id, email: email.into(), is_confirmed: rng.random_bool(0.9) });
    }
    match rng.random_range(0..1000) {
        0..60 => {
            person.status = INACTIVE.into();
            person.habit = stopped(rng);
        }
        60..70 => person.status = "cannot_delete_edit".into(),
        70..80 => person.status = "cannot_delete_edit_upload".into(),
        80..100 => make_app_user(rng, person),
        _ => {}
    }
}

/// Unusual data that Box documents or was observed to send. Fixed ordinals ensure that each kind exists.
fn make_awkward(rng: &mut ChaCha8Rng, config: &Config, slot: usize, ordinal: u64, person: &mut Person) {
    match ordinal {
        5 => {
            *person = Person::bare(person.id, "Box Admin Reports", "", person.created_at);
            person.login = format!("boxadminreports_{slot}@{}", config.login_domain).into();
            return;
        }
        7 => person.name = names::AWKWARD[0].into(),
        9 => person.name = names::AWKWARD[1].into(),
        11 => person.name = names::AWKWARD[2].into(),
        13 => person.name = names::very_long().into(),
        15 => person.status = "pending_activation".into(),
        17 => person.status = "cannot_delete_edit".into(),
        19 => person.status = "cannot_delete_edit_upload".into(),
        21 => {
            person.status = INACTIVE.into();
            person.habit = stopped(rng);
        }
        23 => make_app_user(rng, person),
        25 => person.name = "".into(),
        _ if rng.random_bool(0.01) => person.name = pick(rng, names::AWKWARD).into(),
        _ => {}
    }
    person.is_content_available_when_inactive =
        chance::happens(config.seed, About::ContentAvailable, slot as u64, 0.05);
    if rng.random_bool(0.02) {
        person.login = capitalised(&person.login).into();
    }
    if rng.random_bool(0.01) {
        person.tracking_codes.push(("Département €".into(), pick(rng, names::AWKWARD).into()));
    }
    if rng.random_bool(0.01) {
        person.tracking_codes.push(("Empty".into(), "".into()));
    }
    if rng.random_bool(0.02) {
        // An exact power of ten, which the API may write with an exponent.
        person.space_used = 10i64.pow(rng.random_range(6..13));
    }
    if rng.random_bool(0.01) {
        person.job_title = pick(rng, names::AWKWARD).into();
    }
}

/// One primary admin and a few co-admins, always ordinary active accounts.
fn rank(ordinal: u64, person: &mut Person) {
    let role = match ordinal {
        0 => Role::Admin,
        n if n % 190 == 3 => Role::Coadmin,
        _ => return,
    };
    if person.is_platform_access_only {
        person.is_platform_access_only = false;
        person.external_app_user_id = None;
        person.habit = Habit::Often;
    }
    person.role = role;
    if role == Role::Admin {
        person.status = ACTIVE.into();
        person.habit = Habit::Often;
    }
}

fn make_app_user(rng: &mut ChaCha8Rng, person: &mut Person) {
    let random: u64 = rng.random_range(1_000_000..10_000_000);
    person.login =
        format!("AppUser_{}_{random}x{}@boxdevedition.com", rng.random_range(1000..9999), person.id).into();
    person.is_platform_access_only = true;
    person.habit = Habit::Machine;
    if rng.random_bool(0.5) {
        person.external_app_user_id = Some(format!("crm-{random}").into());
    }
}

/// Creation time of the `ordinal`-th account: over eight years, growing, the last twenty-fifth within six weeks.
fn created(rng: &mut ChaCha8Rng, config: &Config, ordinal: u64) -> i64 {
    let left = 1.0 - ordinal as f64 / f64::from(config.users.max(1));
    let age = (left.clamp(0.0, 1.0).powf(1.3) * 2920.0 * DAY_SECS as f64) as i64;
    config.now_secs() - age - rng.random_range(600..DAY_SECS)
}

fn habit(rng: &mut ChaCha8Rng) -> Habit {
    match rng.random_range(0..100) {
        0..34 => Habit::Often,
        34..62 => Habit::Sometimes,
        62..74 => Habit::Seldom,
        74..92 => stopped(rng),
        92..98 => Habit::Never,
        _ => Habit::Quiet,
    }
}

/// A user who stopped signing in, evenly over the inactivity bands.
fn stopped(rng: &mut ChaCha8Rng) -> Habit {
    let bands = [(31, 60), (61, 90), (91, 180), (181, 360)];
    let (from_days, to_days) = bands[rng.random_range(0..bands.len())];
    Habit::Stopped { from_days, to_days }
}

fn capitalised(login: &str) -> String {
    login.split_inclusive(['.', '@']).map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

/// One text of a table.
pub(crate) fn pick<'a>(rng: &mut ChaCha8Rng, words: &[&'a str]) -> &'a str {
    words[rng.random_range(0..words.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back_to_slots() {
        for slot in [0, 1, 17, 99_999] {
            assert_eq!(slot_of(id_of(3, slot)), Some(slot));
        }
        assert_eq!(slot_of(2), None);
    }

    #[test]
    fn logins_keep_their_letters_when_capitalised() {
        assert_eq!(capitalised("ada.byte@acme.test"), "Ada.Byte@Acme.Test");
    }
}
