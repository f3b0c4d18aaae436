//! The active faults of a running simulator, and the choice of the fault that hits a call.

use std::collections::HashMap;
use std::sync::Mutex;

use super::{Effect, Fault};
use crate::chance::{self, About};
use crate::shared::unpoisoned;

/// All active faults.
pub(crate) struct Faults {
    seed: u64,
    rules: Mutex<Rules>,
}

#[derive(Default)]
struct Rules {
    armed: Vec<Armed>,
    ever_armed: u64,
}

struct Armed {
    fault: Fault,
    number: u64,
    seen: u32,
    fired: u32,
    /// By request; only for rules that need it.
    asked: HashMap<u64, Asked>,
}

/// The history of one request.
#[derive(Clone, Copy, Default)]
struct Asked {
    times: u32,
    hits_in_a_row: u32,
}

/// What the gate must do for this call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fired {
    pub(crate) delay_ms: u64,
    pub(crate) effect: Effect,
}

impl Faults {
    pub(crate) fn new(seed: u64, faults: &[Fault]) -> Self {
        let new = Faults { seed, rules: Mutex::default() };
        for fault in faults {
            new.add(fault.clone());
        }
        new
    }

    pub(crate) fn add(&self, fault: Fault) {
        let mut rules = unpoisoned(self.rules.lock());
        rules.ever_armed += 1;
        let number = rules.ever_armed;
        rules.armed.push(Armed { fault, number, seen: 0, fired: 0, asked: HashMap::new() });
    }

    pub(crate) fn clear(&self) {
        unpoisoned(self.rules.lock()).armed.clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        unpoisoned(self.rules.lock()).armed.iter().map(|armed| armed.fault.clone()).collect()
    }

    /// How many calls each active fault has hit, in the order in which the faults were added.
    pub(crate) fn hits(&self) -> Vec<u32> {
        unpoisoned(self.rules.lock()).armed.iter().map(|armed| armed.fired).collect()
    }

    /// The fault that hits this call, if any.
    pub(crate) fn strike(&self, method: &str, path: &str, query: &str) -> Option<Fired> {
        let mut rules = unpoisoned(self.rules.lock());
        let armed = rules.armed.iter_mut().find_map(|armed| {
            let is_hit = armed.fault.matches(method, path, query)
                && armed.hits(self.seed, question(method, path, query));
            is_hit.then_some(armed)
        })?;
        Some(Fired { delay_ms: armed.fault.delay_ms, effect: armed.fault.effect.clone() })
    }
}

impl Armed {
    /// Counts a matching call and returns whether it is hit.
    fn hits(&mut self, seed: u64, question: u64) -> bool {
        let turn = self.seen;
        self.seen = self.seen.saturating_add(1);
        let fault = &self.fault;
        let is_spent = fault.times.is_some_and(|times| self.fired >= times);
        let mut asked = self.asked.get(&question).copied().unwrap_or_default();
        let is_drawn = match fault.seed {
            None => {
                let number = (self.number << 32) | u64::from(turn);
                chance::happens(seed, About::Fault, number, fault.share)
            }
            Some(own) => {
                chance::happens(own, About::Fault, question.wrapping_add(asked.times.into()), fault.share)
            }
        };
        let is_capped = fault.max_consecutive.is_some_and(|most| asked.hits_in_a_row >= most);
        let is_hit = turn >= fault.after && !is_spent && is_drawn && !is_capped;
        self.fired += u32::from(is_hit);
        if fault.seed.is_some() || fault.max_consecutive.is_some() {
            asked.times = asked.times.saturating_add(1);
            asked.hits_in_a_row = if is_hit { asked.hits_in_a_row + 1 } else { 0 };
            self.asked.insert(question, asked);
        }
        is_hit
    }
}

/// A number that identifies a request.
fn question(method: &str, path: &str, query: &str) -> u64 {
    let text = |seed, text: &str| chance::of_text(seed, About::Fault, text);
    text(text(text(0, method), path), query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_after_and_times() {
        let fault = Fault { after: 1, ..Fault::status("/2.0/users", 2, 503) };
        let faults = Faults::new(1, &[fault]);
        let hits: Vec<bool> = (0..5).map(|_| faults.strike("GET", "/2.0/users", "").is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert_eq!(faults.hits(), [2]);
        assert!(faults.strike("GET", "/2.0/groups", "").is_none());
    }

    #[test]
    fn a_share_is_repeatable() {
        let run = || {
            let faults =
                Faults::new(9, &[Fault { share: 0.3, effect: Effect::MalformedJson, ..Fault::default() }]);
            (0..200).map(|_| faults.strike("GET", "/x", "").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        let hits = run().iter().filter(|hit| **hit).count();
        assert!((40..80).contains(&hits), "{hits}");
    }

    fn hits(faults: &Faults, path: &str, calls: u32) -> Vec<bool> {
        (0..calls).map(|_| faults.strike("GET", path, "").is_some()).collect()
    }

    #[test]
    fn a_seed_of_its_own_looks_at_the_question_alone() {
        let faults = || Faults::new(9, &[Fault::status("", 1000, 500).at(0.3, 4)]);
        let (alone, mixed) = (faults(), faults());
        let a = hits(&alone, "/a", 100);
        let among_others: Vec<bool> = (0..100)
            .map(|n| {
                hits(&mixed, "/b", n % 3);
                hits(&mixed, "/a", 1)[0]
            })
            .collect();
        assert_eq!(a, among_others);
        assert_ne!(a, hits(&alone, "/b", 100));
        assert!((15..45).contains(&a.iter().filter(|hit| **hit).count()));
    }

    #[test]
    fn no_question_is_hit_too_often_in_a_row() {
        let faults = Faults::new(1, &[Fault { max_consecutive: Some(2), ..Fault::default() }]);
        assert_eq!(hits(&faults, "/a", 5), [true, true, false, true, true]);
        assert_eq!(hits(&faults, "/b", 3), [true, true, false]);
        assert_eq!(hits(&faults, "/a", 1), [false]);
        assert!(faults.strike("POST", "/a", "").is_some() && faults.strike("GET", "/a", "x=1").is_some());
    }
}
