//! Starting, holding and stopping a stand-in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::Router;
use axum::body::Body;
use chrono::{DateTime, Utc};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::acts::{self, Act};
use crate::change_log::{TrueChange, true_changes};
use crate::config::{Config, RateLimitStyle};
use crate::day::{self, Stepped};
use crate::deeds::Deed;
use crate::faults::Fault;
use crate::gate::Dropped;
use crate::rate_limit::Rate;
use crate::recorder::{Counts, Recorded};
use crate::routes;
use crate::shared::Shared;
use crate::truth::{self, Extent, TrueContent, Truth};

/// How long open connections may take to finish once the stand-in stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Makes the enterprise and serves it on the current tokio runtime.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(config: Config) -> io::Result<Running> {
    begin(config).await.map(|(running, _)| running)
}

/// The same on a thread with a runtime of its own, for callers that have none, and to keep the stand-in to one core.
///
/// # Errors
/// When the address cannot be listened on, or no thread can be had.
pub fn spawn_in_thread(config: Config) -> io::Result<Running> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (started, wait) = std::sync::mpsc::channel();
    let live = move || match runtime.block_on(begin(config)) {
        Ok((running, serving)) => {
            _ = started.send(Ok(running));
            _ = runtime.block_on(serving);
        }
        Err(error) => _ = started.send(Err(error)),
    };
    std::thread::Builder::new().name("boxseat-simulator".to_owned()).spawn(live)?;
    wait.recv().map_err(io::Error::other)?
}

async fn begin(config: Config) -> io::Result<(Running, JoinHandle<()>)> {
    let listener = TcpListener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    // A large enterprise takes a second to make; other tasks of the runtime go on meanwhile.
    let made = tokio::task::spawn_blocking(move || Arc::new(Shared::new(config))).await;
    let shared = made.map_err(io::Error::other)?;
    let (stop, stopped) = watch::channel(());
    let (done, ended) = oneshot::channel();
    let router = routes::router(shared.clone());
    let serving = tokio::spawn(async move {
        serve(listener, router, stopped).await;
        _ = done.send(());
    });
    Ok((Running { shared, address, stop, ended }, serving))
}

/// A stand-in at work. Dropping it stops it too, without waiting.
pub struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base of the API, e.g. `http://127.0.0.1:4711/2.0`.
    pub fn api_url(&self) -> String {
        format!("http://{}/2.0", self.address)
    }

    /// Where tokens are given out, e.g. `http://127.0.0.1:4711/oauth2/token`.
    pub fn token_url(&self) -> String {
        format!("http://{}/oauth2/token", self.address)
    }

    /// Base of the control routes, e.g. `http://127.0.0.1:4711/_simulator`.
    pub fn control_url(&self) -> String {
        format!("http://{}{}", self.address, routes::CONTROL)
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The simulated now.
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.shared.world().now, 0).unwrap_or(self.shared.config.now)
    }

    /// Lives `days` days, each with its logins and changes.
    pub fn step_days(&self, days: u32) -> Stepped {
        day::step(&mut self.shared.world_mut(), days)
    }

    /// Lets so many seconds pass in which nobody does anything; what is under way goes on.
    pub fn advance_secs(&self, secs: u32) {
        self.shared.world_mut().advance(secs.into());
    }

    /// Makes one thing happen now; the ids of the users or groups it touched.
    pub fn act(&self, act: &Act) -> Vec<String> {
        acts::act(&mut self.shared.world_mut(), act)
    }

    /// What a perfect extraction would end up with now. Large: every event is in it.
    pub fn truth(&self) -> Truth {
        truth::truth(&self.shared.world(), Extent::Everything)
    }

    /// The same without events (`last_login_at` is still there).
    pub fn truth_without_events(&self) -> Truth {
        truth::truth(&self.shared.world(), Extent::WithoutEvents)
    }

    /// Every change of people, memberships and aliases since the start, in the order they took effect.
    pub fn changes(&self) -> Vec<TrueChange> {
        true_changes(&self.shared.world())
    }

    /// What a managed user owns now; `None` for anybody else.
    pub fn content(&self, user_id: &str) -> Option<TrueContent> {
        truth::content(&self.shared.world(), user_id)
    }

    /// What was done to whom so far.
    pub fn deeds(&self) -> Vec<Deed> {
        self.shared.world().deeds.clone()
    }

    /// Calls so far, as Box would count them.
    pub fn counts(&self) -> Counts {
        self.shared.recorder.counts()
    }

    /// The newest requests, oldest first; as many as [`Config::record_requests`] says.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.recorder.requests()
    }

    /// Forgets counts and requests.
    pub fn reset_counts(&self) {
        self.shared.recorder.reset();
    }

    /// Arms a fault behind those already armed.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// How many calls each armed fault has hit, in the order they were armed.
    pub fn fault_hits(&self) -> Vec<u32> {
        self.shared.faults.hits()
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Limits calls otherwise from now on, with a fresh start for every caller; see [`Config::calls_per_minute`].
    pub fn set_rate_limit(&self, calls_per_minute: Option<u32>, style: RateLimitStyle) {
        self.shared.rate_limit.set(Rate { calls_per_minute, style });
    }

    /// Makes every token given out so far answer 401.
    pub fn revoke_tokens(&self) {
        self.shared.tokens.revoke_all();
    }

    /// Stops listening, lets open connections finish for a second, and returns when all is quiet.
    pub async fn shutdown(self) {
        drop(self.stop);
        _ = self.ended.await;
    }

    /// [`Running::shutdown`] for callers outside of any runtime.
    pub fn shutdown_blocking(self) {
        drop(self.stop);
        _ = self.ended.blocking_recv();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<()>) {
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            // A closed channel is the signal to stop.
            _ = stopped.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connect(stream, router.clone(), &connections),
                // Out of file handles, most likely: the next client may have better luck.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
    drop(listener);
    _ = tokio::time::timeout(SHUTDOWN_GRACE, connections.shutdown()).await;
}

/// Serves one connection, HTTP/1.1 or HTTP/2 as the client begins.
fn connect(stream: TcpStream, router: Router, connections: &GracefulShutdown) {
    // Small answers must not wait for more to send.
    _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = router.call(request.map(Body::new));
        async move {
            let response = answer.await.unwrap_or_else(|never| match never {});
            match response.extensions().get::<Dropped>() {
                // An error here makes hyper close the connection without a word.
                Some(_) => Err(io::Error::other("dropped on purpose")),
                None => Ok(response),
            }
        }
    });
    let connection =
        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        // Clients that hang up and connections dropped on purpose end here; neither is news.
        _ = watched.await;
    });
}
