//! Starting, controlling and stopping a simulator.

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

/// Time that open connections have to finish when the simulator stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Generates the enterprise and serves it on the current tokio runtime.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn start(config: Config) -> io::Result<Running> {
    begin(config).await.map(|(running, _)| running)
}

/// The same on a thread with its own runtime, for callers without one, and to limit the simulator to one core.
///
/// # Errors
/// If the address cannot be listened on, or no thread can be started.
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
    // A large enterprise takes a second to generate. Other tasks of the runtime continue meanwhile.
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

/// A running simulator. Dropping it also stops it, without waiting.
pub struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// The address that the simulator listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base of the API, e.g. `http://127.0.0.1:4711/2.0`.
    pub fn api_url(&self) -> String {
        format!("http://{}/2.0", self.address)
    }

    /// The token endpoint, e.g. `http://127.0.0.1:4711/oauth2/token`.
    pub fn token_url(&self) -> String {
        format!("http://{}/oauth2/token", self.address)
    }

    /// Base of the control routes, e.g. `http://127.0.0.1:4711/_simulator`.
    pub fn control_url(&self) -> String {
        format!("http://{}{}", self.address, routes::CONTROL)
    }

    /// The configuration that the simulator was started with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The simulated now.
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.shared.world().now, 0).unwrap_or(self.shared.config.now)
    }

    /// Simulates `days` days with their logins and changes.
    pub fn step_days(&self, days: u32) -> Stepped {
        day::step(&mut self.shared.world_mut(), days)
    }

    /// Moves the simulated time by `secs` seconds without activity. Running transfers continue.
    pub fn advance_secs(&self, secs: u32) {
        self.shared.world_mut().advance(secs.into());
    }

    /// Plays one act now. Returns the ids of the users or groups that it changed.
    pub fn act(&self, act: &Act) -> Vec<String> {
        acts::act(&mut self.shared.world_mut(), act)
    }

    /// The result of a perfect extraction at this moment. Large: it contains every event.
    pub fn truth(&self) -> Truth {
        truth::truth(&self.shared.world(), Extent::Everything)
    }

    /// The same without events (it still has `last_login_at`).
    pub fn truth_without_events(&self) -> Truth {
        truth::truth(&self.shared.world(), Extent::WithoutEvents)
    }

    /// Every change of users, memberships and aliases since the start, in the order in which they took effect.
    pub fn changes(&self) -> Vec<TrueChange> {
        true_changes(&self.shared.world())
    }

    /// The content of a managed user; `None` for other ids.
    pub fn content(&self, user_id: &str) -> Option<TrueContent> {
        truth::content(&self.shared.world(), user_id)
    }

    /// The actions so far; see [`Deed`].
    pub fn deeds(&self) -> Vec<Deed> {
        self.shared.world().deeds.clone()
    }

    /// Calls so far, as Box would count them.
    pub fn counts(&self) -> Counts {
        self.shared.recorder.counts()
    }

    /// The newest requests, oldest first; at most [`Config::record_requests`].
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.recorder.requests()
    }

    /// Deletes counts and requests.
    pub fn reset_counts(&self) {
        self.shared.recorder.reset();
    }

    /// Adds a fault after those already active.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// How many calls each active fault has hit, in the order in which the faults were added.
    pub fn fault_hits(&self) -> Vec<u32> {
        self.shared.faults.hits()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Replaces the limit of calls from now on and resets the count of every caller; see [`Config::calls_per_minute`].
    pub fn set_rate_limit(&self, calls_per_minute: Option<u32>, style: RateLimitStyle) {
        self.shared.rate_limit.set(Rate { calls_per_minute, style });
    }

    /// Revokes every token issued so far; calls with them get 401.
    pub fn revoke_tokens(&self) {
        self.shared.tokens.revoke_all();
    }

    /// Stops listening, gives open connections a second to finish, and returns after that.
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
            // The closed channel is the signal to stop.
            _ = stopped.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connect(stream, router.clone(), &connections),
                // Most likely the process has no file handles left. A later client may succeed.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
    drop(listener);
    _ = tokio::time::timeout(SHUTDOWN_GRACE, connections.shutdown()).await;
}

/// Serves one connection, HTTP/1.1 or HTTP/2 as the client chooses.
fn connect(stream: TcpStream, router: Router, connections: &GracefulShutdown) {
    // Small responses must not wait for more data.
    _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = router.call(request.map(Body::new));
        async move {
            let response = answer.await.unwrap_or_else(|never| match never {});
            match response.extensions().get::<Dropped>() {
                // An error here makes hyper close the connection without a response.
                Some(_) => Err(io::Error::other("dropped on purpose")),
                None => Ok(response),
            }
        }
    });
    let connection =
        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        // Connections closed by the client or dropped on purpose end here. Neither is an error.
        _ = watched.await;
    });
}
