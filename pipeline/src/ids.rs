//! Sets of Box ids that stay small: a decimal id takes eight bytes, any other id is stored as text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

/// A set of ids, exact for decimal ids and for all others.
#[derive(Debug, Default)]
pub struct IdSet {
    numbers: HashSet<u64>,
    texts: HashSet<Box<str>>,
}

impl IdSet {
    /// Adds an id. Returns false if it was there already.
    pub fn insert(&mut self, id: &str) -> bool {
        match decimal(id) {
            Some(number) => self.numbers.insert(number),
            None => !self.texts.contains(id) && self.texts.insert(id.into()),
        }
    }

    /// Whether the id is in the set.
    pub fn contains(&self, id: &str) -> bool {
        match decimal(id) {
            Some(number) => self.numbers.contains(&number),
            None => self.texts.contains(id),
        }
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.numbers.len() + self.texts.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A value per id.
#[derive(Debug)]
pub struct IdMap<V> {
    numbers: HashMap<u64, V>,
    texts: HashMap<Box<str>, V>,
}

impl<V> Default for IdMap<V> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), texts: HashMap::new() }
    }
}

impl<V> IdMap<V> {
    /// Sets the value of an id, and returns its previous value.
    pub fn insert(&mut self, id: &str, value: V) -> Option<V> {
        match decimal(id) {
            Some(number) => self.numbers.insert(number, value),
            None => self.texts.insert(id.into(), value),
        }
    }

    /// The value of an id.
    pub fn get(&self, id: &str) -> Option<&V> {
        match decimal(id) {
            Some(number) => self.numbers.get(&number),
            None => self.texts.get(id),
        }
    }

    /// The value of an id. A missing value is created with its default.
    pub fn entry(&mut self, id: &str) -> &mut V
    where
        V: Default,
    {
        match decimal(id) {
            Some(number) => self.numbers.entry(number).or_default(),
            None => self.texts.entry(id.into()).or_default(),
        }
    }

    /// Number of ids with a value.
    pub fn len(&self) -> usize {
        self.numbers.len() + self.texts.len()
    }

    /// Whether no id has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All ids with their values, in no defined order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &V)> {
        let numbers = self.numbers.iter().map(|(id, value)| (Cow::Owned(id.to_string()), value));
        numbers.chain(self.texts.iter().map(|(id, value)| (Cow::Borrowed(&**id), value)))
    }

    /// All values, in no defined order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.numbers.values().chain(self.texts.values())
    }
}

/// Sixteen bytes that identify a text of any length: half a SHA-256, so that two texts never have the same bytes by accident or by
/// intent.
pub fn fingerprint(text: &str) -> u128 {
    let digest = Sha256::digest(text.as_bytes());
    u128::from_le_bytes(digest[..16].try_into().expect("a SHA-256 has 32 bytes"))
}

/// `id` as a number, if the number has the same text as `id`.
fn decimal(id: &str) -> Option<u64> {
    let plain = !id.starts_with('+') && (id == "0" || !id.starts_with('0'));
    plain.then(|| id.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_texts_are_different_ids() {
        let mut set = IdSet::default();
        for id in
            ["7", "07", "+7", "0", "00", "box_support", "18446744073709551615", "18446744073709551616", ""]
        {
            assert!(set.insert(id), "{id}");
            assert!(!set.insert(id), "{id}");
        }
        assert_eq!(set.len(), 9);
    }
}
