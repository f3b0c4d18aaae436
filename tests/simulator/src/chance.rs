//! Seeded chance without state: the same seed, topic and number always give the same result.
//!
//! The generators and the unusual but legal properties of a response (a short page, a numeric id) use it. So a repeated request
//! gets the same properties, and a failing test can be repeated.

/// The topic of a draw. Two draws about the same row are independent if their topics differ.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum About {
    Person = 1,
    Membership,
    Group,
    PastLogins,
    PastChanges,
    Day,
    IdGap,
    Ghost,
    NumericId,
    NumericPhone,
    UnlimitedSpelling,
    ExponentSpelling,
    EmptyNotification,
    ExtraField,
    OffsetZone,
    ShortPage,
    EmptyPage,
    TrailingPage,
    RepeatedRow,
    OddEnvelope,
    Marker,
    EventId,
    EventAddress,
    EventSession,
    LateEvent,
    Delivery,
    SecondDelivery,
    PositionForm,
    Fault,
    Token,
    Act,
    HiddenUser,
    RequestId,
    Content,
    SharedFolder,
    MissingRow,
    DriftedField,
    Idle,
    ContentAvailable,
}

/// A well-spread 64-bit number for `(seed, about, n)` (the splitmix64 finaliser).
pub(crate) fn mix(seed: u64, about: About, n: u64) -> u64 {
    let mut z = seed
        .wrapping_add((about as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(n.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The same as [`mix`], for a text.
pub(crate) fn of_text(seed: u64, about: About, text: &str) -> u64 {
    text.bytes().fold(mix(seed, about, text.len() as u64), |z, byte| mix(z, about, byte.into()))
}

/// Whether an event of probability `share` (0.0 to 1.0) happens for number `n`.
pub(crate) fn happens(seed: u64, about: About, n: u64, share: f64) -> bool {
    // The top 53 bits give a uniform fraction between 0 and 1.
    share > 0.0 && ((mix(seed, about, n) >> 11) as f64) < share * (1u64 << 53) as f64
}

/// A number below `bound` for `(seed, about, n)`; zero when the bound is zero.
pub(crate) fn below(seed: u64, about: About, n: u64, bound: u64) -> u64 {
    if bound == 0 { 0 } else { mix(seed, about, n) % bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept() {
        let hits = (0..10_000).filter(|n| happens(7, About::ShortPage, *n, 0.1)).count();
        assert!((800..1200).contains(&hits), "{hits}");
        assert!(!(0..10_000).any(|n| happens(7, About::ShortPage, n, 0.0)));
        assert!((0..10_000).all(|n| happens(7, About::ShortPage, n, 1.0)));
    }
}
