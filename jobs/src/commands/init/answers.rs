//! What `init` needs to know: from flags and environment, else from the operator.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use crate::cli::{self, Global, InitArgs};
use crate::config::{file_to_write, variable, variable_os};
use crate::error::CommandError;

/// The answers. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) config_file: PathBuf,
    pub(super) store: PathBuf,
    pub(super) enterprise_id: Option<String>,
    pub(super) sign_in: SignIn,
    pub(super) terms: Terms,
}

/// Where the credentials of the job are. Never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SignIn {
    /// The JSON file of the Box developer console.
    Jwt(PathBuf),
    /// Client credentials.
    Client { id: Option<String>, secret_file: Option<PathBuf> },
    /// Not known yet.
    Unnamed,
}

/// The licence terms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) seats_purchased: Option<u32>,
    pub(super) cost_per_seat_monthly: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) renewal_date: Option<NaiveDate>,
    pub(super) notice_by: Option<NaiveDate>,
}

impl Answers {
    /// Takes the answers from flags and environment. With `questions`, asks for the rest.
    ///
    /// # Errors
    /// Exit 2 if the input ends, or for a configuration file that exists.
    pub(super) fn of(
        global: &Global,
        args: &InitArgs,
        is_root: bool,
        mut questions: Option<Questions<'_>>,
    ) -> Result<Self, CommandError> {
        let questions = &mut questions;
        let file = match &global.config {
            Some(file) => file.clone(),
            None => path(questions, "Configuration file", &file_to_write(is_root))?,
        };
        let config_file = absolute(&file)?;
        refuse_existing(&config_file)?;
        let store = match &global.store {
            Some(store) => store.clone(),
            None => path(questions, "Directory of the store", &default_store(is_root))?,
        };
        let enterprise_id = or_ask(
            args.enterprise_id.clone().or_else(|| variable("BOXSEAT_ENTERPRISE_ID")),
            questions,
            "Enterprise id (Box developer console, General Settings)",
            cli::enterprise_id,
        )?;
        let sign_in = sign_in(args, questions)?;
        let terms = Terms {
            seats_purchased: or_ask(args.seats_purchased, questions, "Seats bought", whole_number)?,
            cost_per_seat_monthly: or_ask(
                args.cost_per_seat_monthly.clone(),
                questions,
                "Price of a seat a month, such as 35.00",
                cli::amount,
            )?,
            currency: args.currency.clone(),
            renewal_date: args.renewal_date,
            notice_by: args.notice_by,
        };
        let terms = Terms {
            currency: match &terms.cost_per_seat_monthly {
                Some(_) => or_ask(terms.currency, questions, "Currency, such as EUR", cli::currency)?,
                None => terms.currency,
            },
            renewal_date: or_ask(
                terms.renewal_date,
                questions,
                "Renewal of the contract, such as 2027-04-01",
                cli::date,
            )?,
            notice_by: or_ask(terms.notice_by, questions, "Last day to give notice", cli::date)?,
            ..terms
        };
        Ok(Self { config_file, store: absolute(&store)?, enterprise_id, sign_in, terms })
    }
}

fn sign_in(args: &InitArgs, questions: &mut Option<Questions<'_>>) -> Result<SignIn, CommandError> {
    let of = |named: &Option<PathBuf>, name: &str| {
        let file = named.clone().or_else(|| variable_os(name).map(PathBuf::from));
        file.map(|file| absolute(&file)).transpose()
    };
    let client = |secret_file| SignIn::Client { id: variable("BOXSEAT_CLIENT_ID"), secret_file };
    if args.jwt_config.is_none() && args.client_secret_file.is_some() {
        return Ok(client(of(&args.client_secret_file, "")?));
    }
    if let Some(file) = of(&args.jwt_config, "BOXSEAT_JWT_CONFIG")? {
        return Ok(SignIn::Jwt(file));
    }
    let secret_file = of(&None, "BOXSEAT_CLIENT_SECRET_FILE")?;
    if secret_file.is_some() || variable_os("BOXSEAT_CLIENT_ID").is_some() {
        return Ok(client(secret_file));
    }
    let file = |text: &str| absolute(Path::new(text)).map_err(|e| e.lines().join(": "));
    let jwt = or_ask(
        None,
        questions,
        "JSON file of an application with a key pair (empty: client credentials)",
        file,
    )?;
    if let Some(jwt) = jwt {
        return Ok(SignIn::Jwt(jwt));
    }
    let id = or_ask(None, questions, "Client id of the application", |text| Ok(text.to_owned()))?;
    let secret_file = or_ask(None, questions, "File with its client secret (chmod 600)", file)?;
    Ok(if id.is_none() && secret_file.is_none() {
        SignIn::Unnamed
    } else {
        SignIn::Client { id, secret_file }
    })
}

/// # Errors
/// Exit 2 if anything is at the path, also a link to nowhere.
pub(super) fn refuse_existing(config_file: &Path) -> Result<(), CommandError> {
    match config_file.symlink_metadata() {
        Ok(_) => Err(exists(config_file)),
        Err(_) => Ok(()),
    }
}

pub(super) fn exists(config_file: &Path) -> CommandError {
    CommandError::usage(format!("{} exists, and `init` never changes a configuration", config_file.display()))
        .hint("edit it: boxseat.example.toml shows every key, and `boxseat check` tests it; --config names another file")
}

fn whole_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number"))
}

/// Where the packages keep the store, or the user's directory for data.
fn default_store(is_root: bool) -> PathBuf {
    let data = variable("XDG_DATA_HOME").map(PathBuf::from);
    let data = || data.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    match is_root {
        true => PathBuf::from("/var/lib/boxseat/store"),
        false => data().map_or_else(|| PathBuf::from("warehouse"), |data| data.join("boxseat")),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path)
        .map_err(|e| CommandError::usage(format!("{:?} is not a path", path.display())).because(e))
}

fn path(
    questions: &mut Option<Questions<'_>>,
    question: &str,
    default: &Path,
) -> Result<PathBuf, CommandError> {
    let shown = format!("{question} [{}]", default.display());
    let answer = or_ask(None, questions, &shown, |text| Ok(PathBuf::from(text)))?;
    Ok(answer.unwrap_or_else(|| default.to_owned()))
}

fn or_ask<T>(
    known: Option<T>,
    questions: &mut Option<Questions<'_>>,
    question: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, CommandError> {
    match (known, questions) {
        (None, Some(questions)) => questions.ask(question, parse),
        (known, _) => Ok(known),
    }
}

/// Questions to the operator: one line each. An empty line leaves the value out.
pub(super) struct Questions<'a> {
    pub(super) input: &'a mut dyn BufRead,
    pub(super) output: &'a mut dyn Write,
}

impl Questions<'_> {
    /// Asks until the answer can be used.
    fn ask<T>(
        &mut self,
        question: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, CommandError> {
        loop {
            let mut line = String::new();
            write!(self.output, "{question}: ")
                .and_then(|()| self.output.flush())
                .and_then(|()| self.input.read_line(&mut line))
                .map_err(|e| CommandError::failed("cannot ask on the terminal", e))?;
            if line.is_empty() {
                return Err(CommandError::usage(
                    "the input ended before the last question: nothing was written",
                )
                .hint("without a terminal, flags name the values: boxseat init --help"));
            }
            match line.trim() {
                "" => return Ok(None),
                text => match parse(text) {
                    Ok(answer) => return Ok(Some(answer)),
                    Err(reason) => _ = writeln!(self.output, "{reason}"),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn asked(args: &[&str], input: &str) -> (Result<Answers, CommandError>, String) {
        let cli = Cli::try_parse_from([&["boxseat", "init"], args].concat()).unwrap();
        let Command::Init(init) = cli.command else { panic!("not init") };
        let (mut input, mut output) = (input.as_bytes(), Vec::new());
        let questions = Questions { input: &mut input, output: &mut output };
        let answers = Answers::of(&cli.global, &init, false, Some(questions));
        (answers, String::from_utf8(output).unwrap())
    }

    #[test]
    fn operator_is_asked_for_what_no_flag_names_until_the_answer_can_be_used() {
        let flags = ["--config", "/nowhere/boxseat.toml", "--store", "/srv/box", "--seats-purchased", "80"];
        let (answers, shown) =
            asked(&flags, "900000001\n/etc/jwt.json\n35,00\n35.00\neuro\nEUR\n\n2027-01-31\n");
        let answers = answers.unwrap();
        assert_eq!(answers.enterprise_id.as_deref(), Some("900000001"));
        assert_eq!(answers.sign_in, SignIn::Jwt("/etc/jwt.json".into()));
        let terms = Terms {
            seats_purchased: Some(80),
            cost_per_seat_monthly: Some("35.00".to_owned()),
            currency: Some("EUR".to_owned()),
            renewal_date: None,
            notice_by: Some("2027-01-31".parse().unwrap()),
        };
        assert_eq!(answers.terms, terms);
        assert!(!shown.contains("Seats bought") && !shown.contains("Directory of the store"), "{shown}");
        assert!(shown.contains("\"35,00\" is not an amount such as 35.00"), "{shown}");
        assert!(shown.contains("\"euro\" is not a currency"), "{shown}");
    }

    #[test]
    fn client_credentials_are_asked_for_by_id_and_file_of_the_secret() {
        let flags = ["--config", "/nowhere/boxseat.toml"];
        let (answers, shown) = asked(&flags, "/srv/box\n\n\nabc\n/etc/secret\n\n\n\n\n");
        let answers = answers.unwrap();
        let client = SignIn::Client { id: Some("abc".to_owned()), secret_file: Some("/etc/secret".into()) };
        assert_eq!((answers.store, answers.sign_in), ("/srv/box".into(), client));
        assert!(!shown.contains("Currency"), "no price, no currency: {shown}");
        let (ended, _) = asked(&flags, "/srv/box\n");
        assert_eq!(
            ended.unwrap_err().lines(),
            ["the input ended before the last question: nothing was written"]
        );
    }
}
