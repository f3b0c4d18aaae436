//! The texts for users, groups and events.

/// First names; `display:ascii` if the login cannot be derived from the name.
pub(crate) const FIRST: &[&str] = &[
    "Ada",
    "Bo",
    "Chidi",
    "Dalia",
    "Emil",
    "Farah",
    "Grace",
    "Hiro",
    "Ines",
    "Jonas",
    "Kofi",
    "Lena",
    "Mateo",
    "Nia",
    "Omar",
    "Priya",
    "Quinn",
    "Rosa",
    "Sven",
    "Tariq",
    "Uma",
    "Viktor",
    "Wren",
    "Ximena",
    "Yara",
    "Zane",
    "Amara",
    "Bruno",
    "Celia",
    "Dmitri",
    "Esther",
    "Felix",
    "Gita",
    "Hana",
    "Ivan",
    "Judit",
    "Karim",
    "Lucia",
    "Malik",
    "Noor",
    "Olga",
    "Pavel",
    "Ruth",
    "Salma",
    "Tom",
    "Ursula",
    "Vera",
    "Walid",
    "Xu",
    "Yusuf",
    "Zoë:zoe",
    "Søren:soren",
    "José:jose",
    "Łukasz:lukasz",
    "Élodie:elodie",
    "Jürgen:jurgen",
    "Ülkü:ulku",
    "Мария:maria",
    "李娜:lina",
    "さくら:sakura",
    "محمد:mohammed",
    "שרה:sarah",
    "Nguyễn:nguyen",
    "Þóra:thora",
];

/// Last names; `display:ascii` as above.
pub(crate) const LAST: &[&str] = &[
    "Byte",
    "Cho",
    "Abara",
    "Novak",
    "Okafor",
    "Silva",
    "Meyer",
    "Tanaka",
    "Rossi",
    "Haddad",
    "Kim",
    "Lindgren",
    "Mensah",
    "Ortiz",
    "Patel",
    "Quispe",
    "Reyes",
    "Schmidt",
    "Torres",
    "Umarov",
    "Vance",
    "Weber",
    "Xavier",
    "Young",
    "Zimmer",
    "Adams",
    "Baker",
    "Castro",
    "Dubois",
    "Evans",
    "Fischer",
    "Garcia",
    "Hughes",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lopez",
    "Moreau",
    "Nakamura",
    "Olsen",
    "Park",
    "Rivera",
    "Santos",
    "Tran",
    "Usman",
    "Vargas",
    "Wang",
    "Yilmaz",
    "O'Neill:oneill",
    "van den Berg:vandenberg",
    "Smith-Jones:smith-jones",
    "Müller:mueller",
    "Nuñez:nunez",
    "Ångström:angstrom",
    "Çelik:celik",
    "Dvořák:dvorak",
    "Иванова:ivanova",
    "王:wang.w",
    "佐藤:sato",
    "الفارسي:alfarsi",
    "Ó Briain:obriain",
    "Œuvrard:oeuvrard",
    "D’Angelo:dangelo",
    "Groß:gross",
];

/// Names that are legal at Box and break careless readers: formulas, markup, bidi controls, quotes, unusual spaces.
pub(crate) const AWKWARD: &[&str] = &[
    "=cmd|' /C calc'!A0",
    "<script>alert('seat')</script>",
    "Ali \u{202e}gnihtyna\u{202c} Baba",
    "Renée \"Ren\" O'Dell, Jr.",
    "+49 (0) 30 / Empfang",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-2+3",
    " Leading and trailing ",
    "Tab\there",
    "Line\nbreak",
    "null",
    "NaN",
    "0012345",
    "2026-03-02",
    "👩‍👩‍👧‍👦 Family 🏳️‍🌈",
    "Z\u{0351}\u{036b}a\u{0357}l\u{0308}go",
    "\u{2066}isolated\u{2069} \u{200b}zero\u{200d}width",
    "Robert'); DROP TABLE users;--",
    "back\\slash \\N \\u0041",
    "ﷺ ﬁ Ⅳ full-width：ＡＢＣ",
];

/// A name that is much longer than a column on screen.
pub(crate) fn very_long() -> String {
    "Hubert Blaine Wolfeschlegelsteinhausenbergerdorff ".repeat(9).trim_end().to_owned()
}

/// Job titles. The empty one is Box's form of "unset".
pub(crate) const TITLES: &[&str] = &[
    "",
    "",
    "",
    "Engineer",
    "Senior Engineer",
    "Designer",
    "Account Manager",
    "Nurse",
    "Counsel",
    "Analyst",
    "Recruiter",
    "Head of Things, EMEA",
    "Buyer",
    "Site Manager",
    "Interim",
    "Chief \"of\" Staff",
];

/// Languages in Box's notation.
pub(crate) const LANGUAGES: &[&str] =
    &["en", "en", "en", "en", "de", "fr", "ja", "es", "pt-BR", "zh", "en-x-longhand"];

/// Time zones of users.
pub(crate) const TIMEZONES: &[&str] = &[
    "America/Los_Angeles",
    "America/Los_Angeles",
    "America/New_York",
    "Europe/Berlin",
    "Europe/London",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Australia/Sydney",
    "Africa/Bujumbura",
];

/// Departments, for tracking codes and group names.
pub(crate) const DEPARTMENTS: &[&str] = &[
    "Design",
    "Engineering",
    "Sales",
    "Legal",
    "People",
    "Finance",
    "Clinical",
    "Field",
    "Research",
    "Support",
    "Facilities",
    "R&D",
    "Marketing",
    "Ops;Night",
];

/// Second halves of group names.
pub(crate) const PLACES: &[&str] = &[
    "Berlin",
    "Oakland",
    "Lagos",
    "Kyoto",
    "Lima",
    "Oslo",
    "Pune",
    "Recife",
    "Leeds",
    "Tunis",
    "Quito",
    "Graz",
    "Everyone",
    "Leads",
    "Contractors",
    "2024 Project",
    "Archive",
    "Interns",
];

/// Display name and login part of the `n`-th user. All login parts are unique.
pub(crate) fn person(n: u64) -> (String, String) {
    let pairs = (FIRST.len() * LAST.len()) as u64;
    // 2039 is prime and does not divide the number of pairs, so this visits every pair once, in a scattered order.
    let pair = (n * 2039 + 7) % pairs;
    let round = n / pairs;
    let (first, first_ascii) = split(FIRST[(pair % FIRST.len() as u64) as usize]);
    let (last, last_ascii) = split(LAST[(pair / FIRST.len() as u64) as usize]);
    let name = format!("{first} {last}");
    let login = match round {
        0 => format!("{first_ascii}.{last_ascii}"),
        _ => format!("{first_ascii}.{last_ascii}{}", round + 1),
    };
    (name, login)
}

fn split(word: &str) -> (&str, String) {
    match word.split_once(':') {
        Some((display, ascii)) => (display, ascii.to_owned()),
        None => (word, word.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn login_parts_are_unique_and_ascii() {
        let logins: HashSet<String> = (0..20_000).map(|n| person(n).1).collect();
        assert_eq!(logins.len(), 20_000);
        assert!(logins.iter().all(|login| login.is_ascii() && !login.contains(' ')));
    }
}
