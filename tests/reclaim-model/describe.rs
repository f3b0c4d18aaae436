//! The checker's input from a world, and the description of a failed world.

use boxseat_reclaim_checker::Case;

use crate::story::World;

impl World {
    pub(super) fn with_case<T>(&self, evaluator: impl FnOnce(&Case<'_>) -> T) -> T {
        let (deeds, end) = (self.simulator.deeds(), self.simulator.truth());
        let journal = self.history();
        evaluator(&Case {
            intent: &self.intent,
            earlier: &self.earlier,
            deeds: &deeds,
            nights: &self.nights,
            end: &end,
            known: &self.known,
            journal: &journal,
            kept: self.journal.entries(),
            leavers: &self.leavers,
        })
    }

    /// The violations, and everything that happened to the users concerned.
    pub(super) fn describe(&self, found: &[String]) -> String {
        let mut text = found.join("\n");
        let deeds = self.simulator.deeds();
        let ids = deeds.iter().map(|deed| deed.user_id.as_str()).collect::<std::collections::BTreeSet<_>>();
        for id in
            ids.into_iter().filter(|id| !id.is_empty() && found.iter().any(|sentence| sentence.contains(*id)))
        {
            text.push_str(&format!("\n  about {id}:"));
            for deed in deeds.iter().filter(|deed| deed.user_id == id) {
                let status = |account: &Option<boxseat_simulator::Account>| {
                    account.as_ref().map_or("-".to_owned(), |a| {
                        format!("{}/{} items/{} bytes", a.status, a.owned_items, a.owned_bytes)
                    })
                };
                text.push_str(&format!(
                    "\n    deed {} {} {:?} {:?} {} {} -> {} {}",
                    deed.sequence,
                    deed.at,
                    deed.by,
                    deed.verb,
                    deed.http_status,
                    status(&deed.before),
                    status(&deed.after),
                    deed.body
                ));
            }
            for entry in &self.history() {
                let line = serde_json::to_string(&entry.record).expect("plain data");
                if line.contains(id) {
                    text.push_str(&format!(
                        "\n    journal {} {} {}",
                        entry.sequence,
                        entry.at,
                        line.chars().take(400).collect::<String>()
                    ));
                }
            }
        }
        for (until, intent) in &self.earlier {
            text.push_str(&format!("\n  until {until}: {intent:?}"));
        }
        text.push_str(&format!("\n  intent: {:?}", self.intent));
        text
    }
}
