//! Names that must not be mixed up, as types of their own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A Box id in text form. Box ids are decimal strings, but pseudo ids such as `box_support` occur in events.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as Box wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The id of a Box user.
    UserId
}
text_id! {
    /// The id of a Box group.
    GroupId
}
text_id! {
    /// The id of a Box enterprise.
    EnterpriseId
}

/// The number of a run in its store: 1, 2, 3, … reserved once and never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunNumber(pub u64);

impl RunNumber {
    /// The number as the lake's BIGINT columns and Delta's app versions hold it.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).expect("a store never sees 2^63 runs")
    }

    /// The number that follows.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
