//! Log lines, and progress bars on a terminal.

use std::fmt::Debug;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use boxseat_pipeline::extract::{Meter, StreamMeter};
use boxseat_schemas::text::{visible_line, visible_message};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{self, Writer};

use crate::cli::{Colour, Global};

/// How often bars are redrawn.
const REDRAW: Duration = Duration::from_millis(200);
/// How often a run without a terminal logs its progress.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// Sends log lines to stderr: warnings; with `-v` also the steps of boxseat; with `-vv` also its debug lines; with `-vvv` everything
/// that the libraries log.
pub(crate) fn log_to_stderr(global: &Global) {
    let filter = match (global.quiet, global.verbose) {
        // The kernel logs whole log segments as debug structures. Our errors name the same table and reason.
        (true, _) => "error,delta_kernel=off",
        (false, 0) => "warn,delta_kernel=off",
        (false, 1) => "warn,delta_kernel=off,boxseat=info,boxseat_pipeline=debug,boxseat_output=debug",
        (false, 2) => "warn,delta_kernel=off,boxseat=debug,boxseat_pipeline=debug,boxseat_output=debug",
        (false, _) => "debug",
    };
    let ansi = match global.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => std::io::stderr().is_terminal() && !crate::config::no_color(),
    };
    // A line that cannot be written is dropped. By default tracing reports the failure with `eprintln!`, which panics if stderr is
    // full or closed, and would end the run.
    let lines = tracing_subscriber::fmt()
        .fmt_fields(format::debug_fn(one_line).delimited(" "))
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .log_internal_errors(false);
    // Only a second call can fail.
    let _ = lines.with_env_filter(EnvFilter::new(filter)).try_init();
}

/// Formats a message or a field on one line. Text from outside (file names, cells of a report, texts of Box) cannot end the line or
/// send escape sequences to the terminal.
fn one_line(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = visible_line(&visible_message(&format!("{value:?}")));
    match field.name() {
        "message" => writer.write_str(&text),
        name => write!(writer, "{name}={text}"),
    }
}

/// Draws a meter until dropped.
pub(crate) struct Progress {
    task: JoinHandle<()>,
    bars: Option<MultiProgress>,
}

impl Progress {
    /// Draws bars on a terminal, else logs a line every [`LOG_EVERY`]. With `--quiet` it does nothing.
    pub(crate) fn of(meter: Arc<Meter>, global: &Global) -> Self {
        if global.quiet {
            return Self { task: tokio::spawn(async {}), bars: None };
        }
        if global.no_progress || !std::io::stderr().is_terminal() {
            return Self { task: tokio::spawn(log_lines(meter)), bars: None };
        }
        let bars = MultiProgress::new();
        Self { task: tokio::spawn(draw(meter, bars.clone())), bars: Some(bars) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }
}

fn streams(meter: &Meter) -> [(&'static str, &StreamMeter); 5] {
    [
        ("users", &meter.users),
        ("groups", &meter.groups),
        ("memberships", &meter.memberships),
        ("aliases", &meter.aliases),
        ("events", &meter.events),
    ]
}

async fn draw(meter: Arc<Meter>, bars: MultiProgress) {
    let style =
        ProgressStyle::with_template("{prefix:>12} {wide_bar} {msg}").expect("the template is constant");
    let lines: Vec<ProgressBar> = streams(&meter)
        .iter()
        .map(|(name, _)| bars.add(ProgressBar::new(0)).with_style(style.clone()).with_prefix(*name))
        .collect();
    let begun = Instant::now();
    let mut tick = interval(REDRAW);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for ((_, stream), line) in streams(&meter).iter().zip(&lines) {
            let (calls, left) = (stream.calls.load(Ordering::Relaxed), stream.left.load(Ordering::Relaxed));
            line.set_length(calls + left);
            line.set_position(calls);
            line.set_message(message(stream, begun.elapsed()));
        }
    }
}

fn message(stream: &StreamMeter, elapsed: Duration) -> String {
    let (calls, left) = (stream.calls.load(Ordering::Relaxed), stream.left.load(Ordering::Relaxed));
    let rows = stream.rows.load(Ordering::Relaxed);
    let mut text = format!("{rows} rows, {calls} calls");
    if left > 0 {
        text.push_str(&format!(", {left} left"));
        if calls > 20 {
            #[expect(clippy::cast_precision_loss, reason = "a displayed estimate")]
            let seconds = elapsed.as_secs_f64() * left as f64 / calls as f64;
            text.push_str(&format!(", {}", duration(seconds)));
        }
    }
    text
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 5400.0 => format!("about {:.1} h", s / 3600.0),
        s if s >= 90.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {s:.0} s"),
    }
}

async fn log_lines(meter: Arc<Meter>) {
    let begun = Instant::now();
    let mut tick = interval(LOG_EVERY);
    tick.tick().await;
    loop {
        tick.tick().await;
        let parts: Vec<String> = streams(&meter)
            .iter()
            .map(|(name, stream)| format!("{name}: {}", message(stream, begun.elapsed())))
            .collect();
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("reading: {}\n", parts.join("; ")).as_bytes(),
        );
    }
}
