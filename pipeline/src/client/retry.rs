//! Decides in one place whether a failed call is repeated.
//!
//! `Retry-After` outranks our own backoff. One time budget covers all attempts of a call, including attempts that hang: if Box is down
//! for ten minutes, the run must not fail; if it is down for an hour, cron must not hang. Box's SDKs give up after five attempts, which
//! is half a minute. Here only responses that cannot be read have such a limit, because waiting rarely repairs them.
//!
//! A pause that Box requires applies to all callers. It starts for all of them before this call checks its own budget: other callers
//! must pause even if this call gives up.

use std::time::Duration;

use boxseat_schemas::spool::CallOutcome;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connection::{ConnectionFault, PROXY_AUTHENTICATION};
use super::limiter::Limiter;
use super::redact::Secrets;
use super::transport::{Exchange, Reply};
use super::{CallJournal, CallNote};
use crate::Error;

/// How often the rate limit may refuse one call. Box's own limit never comes close to it.
const MAX_THROTTLES: u32 = 100;
/// Maximum number of tokens refused in a row, none of which was ever accepted. One refusal proves little: with sixteen calls in flight,
/// several calls can see the same early expiry. After this number, the tokens are invalid.
const MAX_STILLBORN: u32 = 5;
/// Maximum number of refused tokens of one call in total. A token is valid for an hour, and a call takes minutes. More refusals come from
/// an endpoint that always responds with 401, while other endpoints accept the same token.
const MAX_REFUSED_TOKENS: u32 = 16;

/// The attempts of one call.
pub(super) struct Tries<'a> {
    endpoint: &'static str,
    limiter: &'a Limiter,
    journal: &'a dyn CallJournal,
    stop: &'a CancellationToken,
    patience: RetryBudget,
    repeat: Repeat,
    secrets: Secrets,
    history: History,
    /// Time spent on failures of this call.
    failing: Duration,
    /// `failing` plus the pauses of all callers.
    waited: Duration,
}

/// Time limits of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryBudget {
    /// For the failures of this call: failed attempts, and the waits between them.
    pub(super) own: Duration,
    /// For `own` plus the pauses that Box requires of all callers. A further call does not prolong such a pause.
    pub(super) overall: Duration,
    /// Attempts with a response that cannot be read.
    pub(super) garbled: u32,
    /// The longest of our own waits between two attempts.
    pub(super) longest_wait: Duration,
}

impl RetryBudget {
    /// No time limits, and the usual limits of attempts and waits. Callers set the time limits.
    pub(super) const ONE_CALL: Self = Self {
        own: Duration::MAX,
        overall: Duration::MAX,
        garbled: 6,
        longest_wait: Duration::from_secs(60),
    };
}

impl From<Duration> for RetryBudget {
    fn from(patience: Duration) -> Self {
        Self { own: patience, overall: patience, ..Self::ONE_CALL }
    }
}

/// Whether a call may be repeated if it is unknown whether it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Reads, token requests, and writes that set a state: twice has the same effect as once.
    Freely,
    /// Transfers and deletions: a call with a 503 may still have been applied, and a transfer continues after a 504
    /// (<https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/>). They are sent again only if Box refused them
    /// before it accepted them (401, 429), or never received them. In all other cases, reads must find out the result.
    Never,
}

/// How to continue after a failed attempt.
pub(super) enum Step {
    /// Send the request again. The wait is over.
    Again,
    /// Send the request again with a new token.
    Renew,
    /// A repetition cannot help.
    Fail(Exchange),
}

impl<'a> Tries<'a> {
    pub(super) fn new(
        endpoint: &'static str,
        limiter: &'a Limiter,
        journal: &'a dyn CallJournal,
        stop: &'a CancellationToken,
        patience: impl Into<RetryBudget>,
    ) -> Self {
        Self {
            endpoint,
            limiter,
            journal,
            stop,
            patience: patience.into(),
            repeat: Repeat::Freely,
            secrets: Secrets::default(),
            history: History::default(),
            failing: Duration::ZERO,
            waited: Duration::ZERO,
        }
    }

    /// How to treat an attempt if it is unknown whether it took effect.
    pub(super) fn repeating(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Sets the secrets to remove from texts about failed attempts.
    pub(super) fn redacting(mut self, secrets: &Secrets) -> Self {
        self.secrets = secrets.clone();
        self
    }

    /// Waits for the pace, or returns early if the run is to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; no call was made.
    pub(super) async fn admit(&self) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::Interrupted),
            () = self.limiter.admit() => Ok(()),
        }
    }

    /// Records that the next refused token was accepted before: it has expired, and was not invalid from the start.
    pub(super) fn token_was_good(&mut self) {
        self.history.stillborn_tokens = 0;
    }

    /// Writes the failed attempt that began at `asked_at` into the journal, waits as long as necessary, and returns how to continue.
    ///
    /// # Errors
    /// [`Error::Connection`] for a fault that an operator must repair; [`Error::GaveUp`] or [`Error::Throttled`] if the budget is spent;
    /// [`Error::Interrupted`]; the error of the journal.
    pub(super) async fn failed(&mut self, exchange: Exchange, asked_at: Instant) -> Result<Step, Error> {
        // The reason may quote a part of a response with a success status.
        let exchange = self.secrets.redact(exchange);
        let note = |outcome, waited_seconds| {
            self.journal.record(CallNote { endpoint: self.endpoint, outcome, waited_seconds })
        };
        if let Some((fault, reason)) = misconfigured(&exchange) {
            note(CallOutcome::Failed, 0)?;
            return Err(Error::Connection { endpoint: self.endpoint, fault, reason });
        }
        let status = match &exchange {
            Exchange::Reply(reply) => Some(reply.status),
            _ => None,
        };
        let decision = classify(&exchange, self.history, self.repeat);
        let wait = match decision {
            Decision::RenewToken => {
                self.history.stillborn_tokens += 1;
                self.history.refused_tokens += 1;
                note(CallOutcome::Retried, 0)?;
                return Ok(Step::Renew);
            }
            Decision::Fail => {
                note(CallOutcome::Failed, 0)?;
                return Ok(Step::Fail(exchange));
            }
            Decision::Pause(wait) => wait,
            Decision::Backoff(wait) => wait.min(self.patience.longest_wait),
        };
        let took = asked_at.elapsed();
        let throttled = status == Some(429);
        let garbled = matches!(exchange, Exchange::Garbled(_));
        self.history.throttles += u32::from(throttled);
        self.history.garbled += u32::from(garbled);
        self.history.failures += u32::from(!throttled);
        self.waited += took;
        tracing::debug!(endpoint = self.endpoint, %exchange, ?wait, "repeating");
        if let Decision::Pause(_) = decision {
            let waited = if throttled { self.limiter.throttled(wait) } else { self.limiter.pause_for(wait) };
            if self.waited.saturating_add(wait) > self.patience.overall
                || self.history.throttles >= MAX_THROTTLES
            {
                // No caller waits for the end of this pause.
                note(CallOutcome::Failed, 0)?;
                return Err(Error::Throttled {
                    endpoint: self.endpoint,
                    attempts: self.history.attempts(),
                    last: exchange.to_string(),
                    wait,
                });
            }
            self.waited += wait;
            note(if throttled { CallOutcome::Throttled } else { CallOutcome::Retried }, waited)?;
            return Ok(Step::Again);
        }
        self.failing += took;
        let spent = self.failing.saturating_add(wait) > self.patience.own
            || self.waited.saturating_add(wait) > self.patience.overall
            || self.history.garbled >= self.patience.garbled;
        if spent {
            note(CallOutcome::Failed, 0)?;
            return Err(Error::GaveUp {
                endpoint: self.endpoint,
                attempts: self.history.attempts(),
                waited: Duration::from_secs(self.waited.as_secs()),
                last: exchange.to_string(),
                garbled,
            });
        }
        self.failing += wait;
        self.waited += wait;
        note(CallOutcome::Retried, 0)?;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::Interrupted),
            () = sleep(wait) => Ok(Step::Again),
        }
    }
}

/// What to do with a failed exchange.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// All callers wait this long, then the call is repeated.
    Pause(Duration),
    /// This call waits this long, then it is repeated.
    Backoff(Duration),
    /// Get a new token, then repeat the call at once.
    RenewToken,
    /// A repetition cannot help.
    Fail,
}

#[derive(Debug, Default, Clone, Copy)]
struct History {
    /// Exchanges that failed for other reasons than the rate limit.
    failures: u32,
    /// Of these, responses that could not be read.
    garbled: u32,
    /// Exchanges refused by the rate limit.
    throttles: u32,
    /// Tokens refused in a row, none of which was ever accepted.
    stillborn_tokens: u32,
    /// Tokens refused in total.
    refused_tokens: u32,
}

impl History {
    fn attempts(self) -> u32 {
        self.failures + self.throttles
    }
}

/// The fault of the configuration that an exchange shows. A 407 comes from a proxy: Box never sends one.
fn misconfigured(exchange: &Exchange) -> Option<(ConnectionFault, String)> {
    match exchange {
        Exchange::Misconfigured(fault, reason) => Some((*fault, reason.clone())),
        Exchange::Reply(reply) if reply.status == 407 => {
            Some((ConnectionFault::ProxyAuthentication, PROXY_AUTHENTICATION.to_owned()))
        }
        _ => None,
    }
}

/// Decides about everything except what [`misconfigured`] returns.
fn classify(exchange: &Exchange, history: History, repeat: Repeat) -> Decision {
    let reply = match exchange {
        Exchange::NotSent(_) => return Decision::Backoff(backoff(history.failures)),
        Exchange::NoAnswer(_) | Exchange::Garbled(_) if repeat == Repeat::Never => return Decision::Fail,
        Exchange::NoAnswer(_) | Exchange::Garbled(_) => return Decision::Backoff(backoff(history.failures)),
        Exchange::Misconfigured(..) => return Decision::Fail,
        Exchange::Reply(reply) => reply,
    };
    match reply.status {
        401 if history.stillborn_tokens + 1 < MAX_STILLBORN
            && history.refused_tokens + 1 < MAX_REFUSED_TOKENS =>
        {
            Decision::RenewToken
        }
        429 => Decision::Pause(retry_after(reply, history.throttles)),
        // 507 means "out of space" and is permanent (Box's Node SDK).
        507 => Decision::Fail,
        // 425 means "too early" (RFC 8470): a gateway did not forward the request yet.
        408 | 425 | 500..=599 if repeat == Repeat::Never => Decision::Fail,
        408 | 425 | 500..=599 if reply.retry_after_secs.is_some() => {
            Decision::Pause(retry_after(reply, history.failures))
        }
        408 | 425 | 500..=599 => Decision::Backoff(backoff(history.failures)),
        _ => Decision::Fail,
    }
}

/// 1 s, 2 s, 4 s, … up to a minute.
fn backoff(earlier: u32) -> Duration {
    Duration::from_secs(1 << earlier.min(6)).min(Duration::from_secs(60))
}

/// The wait that the server requires. If it requires none or 0, our own backoff applies: an immediate repeat would waste a call.
fn retry_after(reply: &Reply, earlier: u32) -> Duration {
    match reply.retry_after_secs {
        Some(secs) if secs > 0 => Duration::from_secs(secs),
        _ => backoff(earlier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, retry_after_secs: Option<u64>) -> Exchange {
        Exchange::Reply(Reply { status, retry_after_secs, ..Reply::default() })
    }

    #[test]
    fn every_outcome_has_its_decision() {
        let fresh = History::default();
        let tired = History { failures: 3, garbled: 0, throttles: 2, stillborn_tokens: 4, refused_tokens: 4 };
        let secs = Duration::from_secs;
        for (exchange, history, decision) in [
            (reply(429, Some(17)), fresh, Decision::Pause(secs(17))),
            (reply(429, Some(900)), fresh, Decision::Pause(secs(900))),
            (reply(429, Some(0)), fresh, Decision::Pause(secs(1))),
            (reply(429, Some(0)), tired, Decision::Pause(secs(4))),
            (reply(429, None), tired, Decision::Pause(secs(4))),
            (reply(500, None), fresh, Decision::Backoff(secs(1))),
            (reply(503, None), tired, Decision::Backoff(secs(8))),
            (reply(503, Some(30)), tired, Decision::Pause(secs(30))),
            (reply(425, None), fresh, Decision::Backoff(secs(1))),
            (reply(425, Some(9)), fresh, Decision::Pause(secs(9))),
            (reply(507, None), fresh, Decision::Fail),
            (reply(401, None), fresh, Decision::RenewToken),
            (reply(401, None), tired, Decision::Fail),
            (reply(401, None), History { stillborn_tokens: 1, ..tired }, Decision::RenewToken),
            (reply(401, None), History { stillborn_tokens: 0, refused_tokens: 15, ..fresh }, Decision::Fail),
            (reply(403, None), fresh, Decision::Fail),
            (reply(404, None), fresh, Decision::Fail),
            (reply(302, None), fresh, Decision::Fail),
            (Exchange::NoAnswer("reset".into()), tired, Decision::Backoff(secs(8))),
            (Exchange::Garbled("eof".into()), fresh, Decision::Backoff(secs(1))),
        ] {
            assert_eq!(classify(&exchange, history, Repeat::Freely), decision, "{exchange:?}");
        }
    }

    /// R14: a transfer or a deletion is never sent again if it is unknown whether it took effect.
    #[test]
    fn r14_non_idempotent_call_is_repeated_only_if_box_did_not_accept_it() {
        let secs = Duration::from_secs;
        for (exchange, decision) in [
            (reply(429, Some(17)), Decision::Pause(secs(17))),
            (reply(401, None), Decision::RenewToken),
            (Exchange::NotSent("connection refused".into()), Decision::Backoff(secs(1))),
            (reply(500, None), Decision::Fail),
            (reply(503, Some(30)), Decision::Fail),
            (reply(504, None), Decision::Fail),
            (reply(408, None), Decision::Fail),
            (reply(425, Some(1)), Decision::Fail),
            (reply(409, None), Decision::Fail),
            (Exchange::NoAnswer("reset".into()), Decision::Fail),
            (Exchange::Garbled("eof".into()), Decision::Fail),
        ] {
            assert_eq!(classify(&exchange, History::default(), Repeat::Never), decision, "{exchange:?}");
        }
    }

    /// Why: an unknown authority, a proxy's 407 and a header that cannot be built were retried for 15 minutes.
    #[tokio::test(start_paused = true)]
    async fn configuration_fault_is_not_retried() {
        let limiter = Limiter::new(std::num::NonZeroU32::new(1000).unwrap());
        let stop = CancellationToken::new();
        let began = Instant::now();
        let fault = |fault| move || Exchange::Misconfigured(fault, "why".into());
        let cases: [(&dyn Fn() -> Exchange, _); 3] = [
            (&|| reply(407, None), ConnectionFault::ProxyAuthentication),
            (&fault(ConnectionFault::Certificate), ConnectionFault::Certificate),
            (&fault(ConnectionFault::Request), ConnectionFault::Request),
        ];
        for (exchange, expected) in cases {
            for repeat in [Repeat::Freely, Repeat::Never] {
                let mut tries =
                    Tries::new("GET /users", &limiter, &NoJournal, &stop, Duration::from_secs(900))
                        .repeating(repeat);
                let failed = tries.failed(exchange(), Instant::now()).await.err().unwrap();
                assert_eq!(failed.kind(), crate::ErrorKind::Configure);
                assert!(matches!(failed, Error::Connection { fault, .. } if fault == expected), "{failed}");
            }
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    struct NoJournal;
    impl CallJournal for NoJournal {
        fn record(&self, _: CallNote) -> Result<(), Error> {
            Ok(())
        }
    }

    /// Why: a throttle pauses all callers. It must not use up the limit of one missing user, who would become "unconfirmed".
    #[tokio::test(start_paused = true)]
    async fn pause_of_all_callers_does_not_use_the_budget_of_one_record() {
        let limiter = Limiter::new(std::num::NonZeroU32::new(1000).unwrap());
        let stop = CancellationToken::new();
        let secs = Duration::from_secs;
        let patience = RetryBudget { own: secs(30), overall: secs(900), ..RetryBudget::ONE_CALL };
        let mut tries = Tries::new("GET /users/{id}", &limiter, &NoJournal, &stop, patience);
        let step = tries.failed(reply(429, Some(60)), Instant::now()).await;
        assert!(matches!(step, Ok(Step::Again)));
        let paused_at = Instant::now();
        tries.admit().await.unwrap();
        assert!(paused_at.elapsed() >= secs(60));
        // 1 + 2 + 4 + 8 seconds; another sixteen would exceed the limit.
        for _ in 0..4 {
            assert!(matches!(tries.failed(reply(500, None), Instant::now()).await, Ok(Step::Again)));
        }
        let spent = tries.failed(reply(500, None), Instant::now()).await.err();
        assert!(matches!(spent, Some(Error::GaveUp { attempts: 6, waited, .. }) if waited == secs(75)));
        let asked_too_much = tries.failed(reply(429, Some(3600)), Instant::now()).await.err();
        assert!(matches!(asked_too_much, Some(Error::Throttled { .. })));
    }
}
