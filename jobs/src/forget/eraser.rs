//! Erases one user from single values. Which value has which rule is decided by its field: [`super::records`] for the journal and plans,
//! [`super::rows`] for the lake, [`super::raw_json`] for raw pages.
//!
//! The id becomes the pseudonym, and addresses become an address of the pseudonym, so related rows and records stay related. A name is a
//! text that the user may have chosen. It is replaced only in the user's own name and in sentences about the user, because it may equal
//! the id of another user, a code or a number.

use serde_json::Value;

use super::identity::Identity;

/// Replaces a name.
pub(crate) const NAME: &str = "(erased)";

/// Erases one user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eraser<'a> {
    pub(crate) identity: &'a Identity,
}

/// The user that a value is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum About {
    /// The user alone: addresses that another user had, too, are replaced.
    User,
    /// A record that names the user.
    Mention,
    /// Anything else. Names stay.
    #[default]
    Others,
}

impl Eraser<'_> {
    /// Whether a text names the user by id or address.
    pub(crate) fn is_named_in(&self, text: &str) -> bool {
        self.tokens_in(text).next().is_some()
    }

    /// The id and the addresses of the user that a text has.
    pub(super) fn tokens_in(&self, text: &str) -> impl Iterator<Item = &str> {
        let lower = text.to_ascii_lowercase();
        let id = [(&self.identity.user_id, is_in_a_word as IsPart)].into_iter();
        let addresses = self.identity.addresses.iter().map(|address| (address, is_in_an_address as IsPart));
        id.chain(addresses).filter_map(move |(token, is_part)| {
            let mut places = lower.match_indices(token.as_str());
            let is_there = places.any(|(start, _)| !is_part(&lower, start, start + token.len()));
            (is_there && !token.is_empty()).then_some(token.as_str())
        })
    }

    /// Whether JSON names the user.
    pub(crate) fn is_named_in_json(&self, raw: &str) -> bool {
        if self.is_named_in(raw) {
            return true;
        }
        // The text may have escaped characters.
        raw.contains('\\')
            && serde_json::from_str::<Value>(raw).is_ok_and(|value| self.is_named_in(&value.to_string()))
    }

    /// The id of a user.
    pub(super) fn id(&self, id: &mut String) {
        if *id == self.identity.user_id {
            id.clone_from(&self.identity.pseudonym);
        }
    }

    /// The id of an action: the id of its user is one of its parts.
    pub(super) fn action_id(&self, action_id: &mut String) {
        let identity = self.identity;
        let part = |part| if part == identity.user_id { identity.pseudonym.as_str() } else { part };
        *action_id = action_id.split('/').map(part).collect::<Vec<_>>().join("/");
    }

    /// A login, or another address as a whole.
    pub(super) fn address(&self, address: &mut String, about: About) {
        if about == About::User || self.identity.addresses.contains(&address.to_lowercase()) {
            *address = self.identity.address();
        }
    }

    /// The name of a user.
    pub(super) fn name(&self, name: &mut String, about: About) {
        if about == About::User {
            NAME.clone_into(name);
        }
    }

    /// A sentence, or another text without a fixed form.
    pub(super) fn sentence(&self, text: &mut String, about: About) {
        let identity = self.identity;
        let address = identity.address();
        let reused = identity.reused.iter().filter(|_| about == About::User);
        *text = replace(text, &identity.user_id, &identity.pseudonym, is_in_a_word);
        for token in identity.addresses.iter().chain(reused) {
            *text = replace(text, token, &address, is_in_an_address);
        }
        if about != About::Others {
            // A number is no name, and sentences have dates and counts.
            for name in identity.names.iter().filter(|name| name.contains(char::is_alphabetic)) {
                *text = replace(text, &name.to_ascii_lowercase(), NAME, is_in_a_word);
            }
        }
    }
}

type IsPart = fn(&str, usize, usize) -> bool;

/// Replaces a lower-case token, unless it is part of a longer word or address.
fn replace(text: &str, token: &str, by: &str, is_part: IsPart) -> String {
    if token.is_empty() {
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let (mut new, mut done) = (String::with_capacity(text.len()), 0);
    for (start, found) in lower.match_indices(token) {
        let end = start + found.len();
        if !is_part(&lower, start, end) {
            new.push_str(&text[done..start]);
            new.push_str(by);
            done = end;
        }
    }
    new.push_str(&text[done..]);
    new
}

/// Whether the match is part of a longer number or word.
fn is_in_a_word(text: &str, start: usize, end: usize) -> bool {
    let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    is_word(text[..start].chars().next_back()) || is_word(text[end..].chars().next())
}

/// Whether the match is part of a longer address.
fn is_in_an_address(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].chars().next_back();
    let mut after = text[end..].chars();
    let is_before = before.is_some_and(|c| c.is_alphanumeric() || "._%+-".contains(c));
    let is_after = match after.next() {
        Some('.') => after.next().is_some_and(char::is_alphanumeric),
        Some(c) => c.is_alphanumeric() || c == '-' || c == '_',
        None => false,
    };
    is_before || is_after
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::forget) fn ann() -> Identity {
        named(&["Ann Lee"])
    }

    pub(in crate::forget) fn named(names: &[&str]) -> Identity {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Identity {
            user_id: "12345".into(),
            pseudonym: "900000000000000000000007".into(),
            addresses: set(&["ann@acme.test", "a.l@acme.test"]),
            reused: set(&["desk@acme.test"]),
            names: set(names),
        }
    }

    #[test]
    fn user_is_erased_from_a_sentence_and_others_stay() {
        let identity = ann();
        let eraser = Eraser { identity: &identity };
        let erased = |text: &str, about| {
            let mut new = text.to_owned();
            eraser.sentence(&mut new, about);
            (new != text).then_some(new)
        };
        let text = |text: &str| erased(text, About::Mention);
        assert_eq!(text("user 12345 left").as_deref(), Some("user 900000000000000000000007 left"));
        assert_eq!(
            text("ANN@acme.test, <a.l@acme.test>.").as_deref(),
            Some("900000000000000000000007@erased.invalid, <900000000000000000000007@erased.invalid>.")
        );
        assert_eq!(text("user Ann Lee left").as_deref(), Some("user (erased) left"));
        for other in [
            "112345",
            "123456",
            "joann@acme.test",
            "ann@acme.test.au",
            "ann@acme.tests",
            "desk@acme.test",
            "Joann Lee",
            "Ann Leeds",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
        assert_eq!(erased("Ann Lee", About::Others), None);
        assert!(erased("desk@acme.test", About::User).is_some());
    }

    #[test]
    fn ids_names_and_addresses_are_replaced_as_whole_values() {
        let identity = named(&["777", "done"]);
        let eraser = Eraser { identity: &identity };
        let with = |text: &str, change: &dyn Fn(&mut String)| {
            let mut new = text.to_owned();
            change(&mut new);
            new
        };
        assert_eq!(with("12345", &|id| eraser.id(id)), identity.pseudonym);
        assert_eq!(with("777", &|id| eraser.id(id)), "777");
        assert_eq!(with("p-12345/777/1", &|id| eraser.action_id(id)), "p-12345/777/1");
        assert_eq!(with("p/12345/1", &|id| eraser.action_id(id)), "p/900000000000000000000007/1");
        assert_eq!(with("done", &|name| eraser.name(name, About::Mention)), "done");
        assert_eq!(with("anything", &|name| eraser.name(name, About::User)), NAME);
        assert_eq!(with("Ann@acme.test", &|login| eraser.address(login, About::Others)), identity.address());
        assert_eq!(with("desk@acme.test", &|login| eraser.address(login, About::Others)), "desk@acme.test");
        assert_eq!(with("desk@acme.test", &|login| eraser.address(login, About::User)), identity.address());
        assert_eq!(with("777 days", &|text| eraser.sentence(text, About::User)), "777 days");
    }
}
