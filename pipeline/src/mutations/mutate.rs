//! One mutation of a legal response, at any place.

use std::hash::{DefaultHasher, Hash, Hasher};

use boxseat_schemas::spool::Request;
use serde_json::{Value, json};

/// How the responses of a run are produced.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Unchanged.
    Healthy,
    /// With mutations.
    Mutated(Mutation),
}

/// Which responses are mutated, and how. Everything is derived from the seed.
#[derive(Debug, Clone)]
pub(super) struct Mutation {
    seed: u64,
    kind: &'static str,
    /// One response in this number is mutated.
    share: u64,
    /// Whether a repeated request gets the same mutation.
    is_permanent: bool,
    /// The endpoint; `None`: all endpoints.
    endpoint: Option<&'static str>,
}

const ENDPOINTS: &[&str] = &[
    "GET /users",
    "GET /users/{id}",
    "GET /groups",
    "GET /groups/{id}/memberships",
    "GET /users/{id}/memberships",
    "GET /users/{id}/email_aliases",
    "GET /events",
    "GET /users/me",
];

impl Mutation {
    pub(super) const KINDS: &'static [&'static str] = &[
        "drop_field",
        "drop_record",
        "repeat",
        "retype",
        "null",
        "cut",
        "error",
        "gateway",
        "charset",
        "raw_control",
        "surrogate",
    ];

    /// The mutation of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let draw = |what: &str| hash(&(seed, what));
        let pick = draw("endpoint") as usize % (ENDPOINTS.len() + 1);
        Self {
            seed,
            kind: Self::KINDS[draw("kind") as usize % Self::KINDS.len()],
            share: [1, 2, 5, 10, 30][draw("share") as usize % 5],
            is_permanent: draw("permanent").is_multiple_of(2),
            endpoint: ENDPOINTS.get(pick).copied(),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether the result is a legal response of Box. No client can notice records that Box neither lists nor announces.
    pub(super) fn is_legal(&self) -> bool {
        matches!(self.kind, "drop_field" | "drop_record" | "retype" | "null")
    }

    /// Whether a page may have fewer records than exist. Box announces more than it lists, so no client can notice the loss.
    pub(super) fn hides_records(&self) -> bool {
        matches!(self.kind, "drop_field" | "drop_record")
    }

    /// The response to an attempt of a request.
    pub(super) fn apply(&self, request: &Request, attempt: u32, legal: (u16, Value)) -> (u16, Vec<u8>) {
        let (status, mut body) = legal;
        let attempt = if self.is_permanent { 0 } else { attempt };
        let is_hit = self.endpoint.is_none_or(|endpoint| endpoint == request.endpoint())
            && hash(&(self.seed, request, "hit")).is_multiple_of(self.share)
            && (self.is_permanent || attempt == 0);
        if !is_hit {
            return (status, body.to_string().into_bytes());
        }
        let mut draws = Draws { seed: hash(&(self.seed, request, attempt)), count: 0 };
        match self.kind {
            "error" => return draws.error(),
            "gateway" => return draws.gateway(),
            "drop_record" => {
                if let Some(entries) =
                    body.get_mut("entries").and_then(Value::as_array_mut).filter(|e| !e.is_empty())
                {
                    let at = draws.below(entries.len());
                    entries.remove(at);
                }
            }
            "repeat" => {
                if let Some(entries) =
                    body.get_mut("entries").and_then(Value::as_array_mut).filter(|e| !e.is_empty())
                {
                    let at = draws.below(entries.len());
                    let entry = entries[at].clone();
                    entries.insert(draws.below(entries.len() + 1), entry);
                }
            }
            "drop_field" | "retype" | "null" => draws.change(&mut body, self.kind),
            _ => {}
        }
        let mut bytes = body.to_string().into_bytes();
        match self.kind {
            "cut" => bytes.truncate(draws.below(bytes.len())),
            "charset" => draws.insert_in_string(&mut bytes, b"\xe9"),
            "raw_control" => draws.insert_in_string(&mut bytes, b"\n"),
            "surrogate" => draws.insert_in_string(&mut bytes, br"\ud83d"),
            _ => {}
        }
        (status, bytes)
    }
}

/// Random numbers, derived from a seed.
struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        self.count += 1;
        hash(&(self.seed, self.count)) as usize % limit.max(1)
    }

    fn error(&mut self) -> (u16, Vec<u8>) {
        let bodies = [
            (200, r#"{"type":"error","status":503,"code":"unavailable","message":"down"}"#),
            (200, r#"{"error":{"code":429,"message":"slow down"}}"#),
            (200, r#"{"message":"maintenance"}"#),
            (200, "{}"),
            (500, r#"{"type":"error","status":500,"code":"internal_server_error"}"#),
            (400, r#"{"type":"error","status":400,"code":"bad_request"}"#),
            (403, r#"{"type":"error","status":403,"code":"forbidden"}"#),
        ];
        let (status, body) = bodies[self.below(bodies.len())];
        (status, body.as_bytes().to_vec())
    }

    fn gateway(&mut self) -> (u16, Vec<u8>) {
        let status = [200, 403, 404, 502][self.below(4)];
        let bodies = ["<html>404 Not Found</html>", "", r#"{"message":"no Route matched"}"#];
        (status, bodies[self.below(3)].as_bytes().to_vec())
    }

    /// Changes one value of a tree: in the envelope, in a record, or deeper.
    fn change(&mut self, body: &mut Value, kind: &str) {
        let mut paths = Vec::new();
        collect(body, &mut Vec::new(), &mut paths);
        if paths.is_empty() {
            return;
        }
        let path = &paths[self.below(paths.len())];
        let (last, parents) = path.split_last().expect("a path has a step");
        let mut parent = body;
        for step in parents {
            parent = match step {
                Step::Name(name) => &mut parent[name.as_str()],
                Step::Index(index) => &mut parent[*index],
            };
        }
        match (kind, last) {
            ("drop_field", Step::Name(name)) => {
                _ = parent.as_object_mut().and_then(|object| object.remove(name))
            }
            ("drop_field", Step::Index(index)) => _ = parent.as_array_mut().map(|array| array.remove(*index)),
            (_, step) => {
                let value = match step {
                    Step::Name(name) => &mut parent[name.as_str()],
                    Step::Index(index) => &mut parent[*index],
                };
                *value = if kind == "null" { Value::Null } else { self.other_type(value) };
            }
        }
    }

    /// The value with another type: as a number or a text if that is possible, otherwise as a value without a meaning.
    fn other_type(&mut self, value: &Value) -> Value {
        let same = match value {
            Value::String(text) => text.parse::<i64>().ok().map(Value::from),
            Value::Number(number) => Some(Value::from(number.to_string())),
            Value::Bool(flag) => Some(Value::from(flag.to_string())),
            _ => None,
        };
        let others =
            [json!([]), json!({}), json!(true), json!([1, "x"]), json!({ "a": [null] }), json!(-1.5)];
        match self.below(8) {
            pick @ 0..6 if others[pick] != *value => others[pick].clone(),
            _ => same.unwrap_or(json!([[]])),
        }
    }

    /// Inserts bytes between two characters of a random string.
    fn insert_in_string(&mut self, body: &mut Vec<u8>, bytes: &[u8]) {
        let text = String::from_utf8_lossy(body).into_owned();
        let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
        // Our bodies have no escaped quotes: every second quote starts a string, and a name is followed by a colon.
        let is_value = |ends: &&[usize]| text.as_bytes().get(ends[1] + 1) != Some(&b':');
        let values: Vec<&[usize]> = quotes.chunks_exact(2).filter(is_value).collect();
        if let Some(ends) = values.get(self.below(values.len())) {
            let at = ends[0] + 1 + self.below(ends[1] - ends[0]);
            body.splice(at..at, bytes.iter().copied());
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Name(String),
    Index(usize),
}

fn collect(value: &Value, path: &mut Vec<Step>, paths: &mut Vec<Vec<Step>>) {
    let mut children: Vec<(Step, &Value)> = Vec::new();
    match value {
        Value::Object(fields) => {
            children.extend(fields.iter().map(|(name, value)| (Step::Name(name.clone()), value)))
        }
        Value::Array(values) => {
            children.extend(values.iter().enumerate().map(|(at, value)| (Step::Index(at), value)))
        }
        _ => {}
    }
    for (step, child) in children {
        path.push(step);
        paths.push(path.clone());
        collect(child, path, paths);
        path.pop();
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
