//! Reports of hand-made nights.
