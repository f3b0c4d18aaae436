//! Servers that hang, and a client that must not hang.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boxseat_schemas::spool::{CallOutcome, Request, TOKEN_ENDPOINT};
use chrono::DateTime;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Authorities, BoxReader, CallJournal, CallNote, ClientSettings, Credentials, Timeouts};
use crate::Error;

/// How a server delays its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hang {
    /// It accepts the request and sends nothing.
    Mute,
    /// It sends the head of a response, but not the body.
    HeadOnly,
    /// It sends one byte at a time without end, so it is never silent for long.
    Trickle,
    /// It responds.
    Not,
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
const ME: &str = r#"{"type":"user","id":"7","access_token":"t","expires_in":3600}"#;

/// A server on loopback that hangs in the given way for its first `times` requests and responds to all others. Returns its URL and the
/// number of requests that it received.
async fn serve(hang: Hang, times: usize) -> (Url, Arc<AtomicUsize>) {
    let answer = format!("{HEAD}{}\r\n\r\n{ME}", ME.len());
    serve_with(hang, times, answer).await
}

async fn serve_with(hang: Hang, times: usize, answer: String) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/2.0", listener.local_addr().unwrap()).parse().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(stream, hang, times, answer.clone(), Arc::clone(&count)));
        }
    });
    (url, seen)
}

async fn connection(mut stream: TcpStream, hang: Hang, times: usize, answer: String, seen: Arc<AtomicUsize>) {
    let mut request = [0; 4096];
    while let Ok(1..) = stream.read(&mut request).await {
        let hang = if seen.fetch_add(1, Ordering::SeqCst) < times { hang } else { Hang::Not };
        // A client that closed the connection is not an error of the server.
        let head = format!("{HEAD}100000\r\n\r\n");
        _ = match hang {
            Hang::Not => stream.write_all(answer.as_bytes()).await,
            Hang::Mute => Ok(()),
            Hang::HeadOnly | Hang::Trickle => stream.write_all(head.as_bytes()).await,
        };
        match hang {
            Hang::Not => {}
            Hang::Mute | Hang::HeadOnly => sleep(Duration::from_secs(600)).await,
            Hang::Trickle => {
                while stream.write_all(b" ").await.is_ok() {
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Notes(Mutex<Vec<(&'static str, CallOutcome)>>);

impl Notes {
    /// How many calls had this outcome.
    pub(super) fn of(&self, outcome: CallOutcome) -> usize {
        self.0.lock().unwrap().iter().filter(|(_, noted)| *noted == outcome).count()
    }
}

impl CallJournal for Notes {
    fn record(&self, note: CallNote) -> Result<(), Error> {
        self.0.lock().unwrap().push((note.endpoint, note.outcome));
        Ok(())
    }
}

pub(super) struct Client {
    pub(super) reader: BoxReader,
    pub(super) notes: Arc<Notes>,
    stop: CancellationToken,
}

/// Short, but long enough for a server on a busy machine.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    silence: Duration::from_millis(500),
    total: Duration::from_secs(1),
    grace: Duration::from_millis(100),
};

/// A client of a server that responds at once.
pub(super) fn quick_client(api: &Url) -> Client {
    client(api, api, Duration::from_secs(60), SHORT)
}

fn client(api: &Url, token: &Url, patience: Duration, timeouts: Timeouts) -> Client {
    let credentials = Credentials::ClientCredentials {
        client_id: "id".into(),
        client_secret: SecretString::from("secret"),
        enterprise_id: "1".into(),
    };
    client_with(credentials, api, token, patience, timeouts)
}

/// A client that signs in with `credentials` at `token`. A server that responds at once is at `api`.
pub(super) fn client_of(credentials: Credentials, api: &Url, token: &Url) -> Client {
    client_with(credentials, api, token, Duration::from_secs(60), SHORT)
}

fn client_with(
    credentials: Credentials,
    api: &Url,
    token: &Url,
    patience: Duration,
    timeouts: Timeouts,
) -> Client {
    let settings = ClientSettings {
        api_url: api.clone(),
        token_url: token.clone(),
        calls_per_minute: NonZeroU32::new(60_000).unwrap(),
        patience,
        timeouts,
        authorities: Authorities::default(),
    };
    let (notes, stop) = (Arc::new(Notes::default()), CancellationToken::new());
    let clock: crate::Clock = Arc::new(|| DateTime::UNIX_EPOCH);
    let reader = BoxReader::new(
        &settings,
        credentials,
        Arc::clone(&notes) as Arc<dyn CallJournal>,
        clock,
        stop.clone(),
    )
    .unwrap();
    Client { reader, notes, stop }
}

const HANGS: [Hang; 3] = [Hang::Mute, Hang::HeadOnly, Hang::Trickle];

/// Why: a connection that hangs must cost its timeout and a second attempt, at the API and at the token endpoint, and must be counted.
#[tokio::test]
async fn hanging_exchange_times_out_and_is_repeated() {
    let one = async |hang: Hang, at_the_token: bool| {
        let (hanging, seen) = serve(hang, 1).await;
        let (good, _) = serve(Hang::Not, 0).await;
        let (api, token) = if at_the_token { (&good, &hanging) } else { (&hanging, &good) };
        let client = client(api, token, Duration::from_secs(60), SHORT);
        let begun = Instant::now();
        client.reader.ask(&Request::Me, None).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "{hang:?}: {:?}", begun.elapsed());
        let seen = seen.load(Ordering::SeqCst);
        assert!(seen >= 2, "{hang:?}");
        // The spool counts the page of the last attempt. A token request is recorded here.
        let endpoint = if at_the_token { TOKEN_ENDPOINT } else { Request::Me.endpoint() };
        let notes = client.notes.0.lock().unwrap();
        let noted = notes.iter().filter(|(noted, _)| *noted == endpoint).count();
        assert_eq!(noted, if at_the_token { seen } else { seen - 1 }, "{hang:?}: {notes:?}");
    };
    tokio::join!(
        one(HANGS[0], false),
        one(HANGS[1], false),
        one(HANGS[2], false),
        one(HANGS[0], true),
        one(HANGS[1], true),
        one(HANGS[2], true),
    );
}

/// Why: only the waits between the attempts counted, so a hanging Box blocked a run for an hour and a half.
#[tokio::test]
async fn time_in_hanging_exchanges_counts_for_the_limit_of_the_call() {
    let (hanging, seen) = serve(Hang::Trickle, usize::MAX).await;
    // Two seconds of trickle and one second of backoff. A second round with two seconds of backoff would make it five.
    let patience = Duration::from_millis(4_500);
    let client = client(&hanging, &serve(Hang::Not, 0).await.0, patience, SHORT);
    let gave_up = client.reader.ask(&Request::Me, None).await.unwrap_err();
    assert!(matches!(gave_up, Error::GaveUp { attempts: 2, garbled: false, .. }), "{gave_up}");
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

/// Why: SIGTERM and `--deadline` while connections hang must end the run within the grace period, with every sent call in the ledger.
#[tokio::test]
async fn stop_ends_hanging_exchanges_within_the_grace_and_counts_them() {
    for at_the_token in [false, true] {
        let (hanging, seen) = serve(Hang::Trickle, usize::MAX).await;
        let (good, _) = serve(Hang::Not, 0).await;
        let (api, token) = if at_the_token { (&good, &hanging) } else { (&hanging, &good) };
        let for_ever = Duration::from_secs(600);
        let timeouts = Timeouts { silence: for_ever, total: for_ever, ..SHORT };
        let client = client(api, token, for_ever, timeouts);
        let me = Request::Me;
        // The second call waits for the token that the first one requests, if the token endpoint hangs.
        let both = async { tokio::join!(client.reader.ask(&me, None), client.reader.ask(&me, None)) };
        let stop = async {
            while seen.load(Ordering::SeqCst) == 0 {
                sleep(Duration::from_millis(1)).await;
            }
            client.stop.cancel();
            Instant::now()
        };
        let ((first, second), stopped_at) = tokio::join!(both, stop);
        assert!(stopped_at.elapsed() < Duration::from_secs(5), "{:?}", stopped_at.elapsed());
        assert!(matches!((first, second), (Err(Error::Interrupted), Err(Error::Interrupted))));
        let noted = client.notes.0.lock().unwrap().len();
        assert_eq!(noted, seen.load(Ordering::SeqCst) + usize::from(!at_the_token));
    }
}

/// Why: a call with a shorter limit than Box's `Retry-After` gave up without pausing the other callers.
#[tokio::test]
async fn call_that_gives_up_still_pauses_all_callers() {
    let refusal = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n".to_owned();
    let (throttling, seen) = serve_with(Hang::Not, 0, refusal).await;
    let client = client(&throttling, &serve(Hang::Not, 0).await.0, Duration::from_secs(30), SHORT);
    let refused = client.reader.ask(&Request::Me, None).await.unwrap_err();
    assert!(matches!(refused, Error::Throttled { attempts: 1, .. }), "{refused}");
    let another = tokio::time::timeout(Duration::from_millis(300), client.reader.ask(&Request::Me, None));
    assert!(another.await.is_err(), "it did not wait");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

/// Why: a lifetime of 0 caused a token request for every call, and a lifetime beyond i64 caused a panic.
#[tokio::test]
async fn a_token_without_a_usable_lifetime_is_shared() {
    for expires_in in ["0", "-1", "0.001", "3599.5", "1e22", "99999999999999999999", "\"soon\"", "null", "[]"]
    {
        let body = format!(r#"{{"type":"user","id":"7","access_token":"t","expires_in":{expires_in}}}"#);
        let answer = format!("{HEAD}{}\r\n\r\n{body}", body.len());
        let (token, seen) = serve_with(Hang::Not, 0, answer).await;
        let client = client(&serve(Hang::Not, 0).await.0, &token, Duration::from_secs(60), SHORT);
        for _ in 0..30 {
            client.reader.ask(&Request::Me, None).await.unwrap();
        }
        assert_eq!(seen.load(Ordering::SeqCst), 1, "{expires_in}");
    }
}
