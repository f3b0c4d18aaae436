//! Peak memory of a first run. It should grow a little with the users and not with the logins.

use super::{Bench, Size};
use crate::Result;
use crate::report::{Findings, Row, Sample, mib, seconds, whole};

/// Allowed growth for three times the logins that still counts as constant. Allocators differ by as much from run to run.
const FLAT: f64 = 0.10;

pub(super) fn measure(bench: &mut Bench) -> Result<Findings> {
    let base = bench.large();
    let more_users = Size { users: base.users * 3, ..base };
    let more_logins = Size { logins: base.logins * 3, ..base };
    let mut notes = Vec::new();
    let mut peak = |bench: &mut Bench, size: Size, times: usize| -> Result<Sample> {
        let (mut peaks, mut walls) = (Vec::new(), Vec::new());
        for _ in 0..times {
            let done = bench.first_night(size)?;
            peaks.push(done.peak_bytes as f64);
            walls.push(done.wall.as_secs_f64());
        }
        let (peaks, walls) = (Sample::new(peaks), Sample::new(walls));
        notes.push(format!(
            "{} users, {} logins: peak {}, the night took {}",
            whole(f64::from(size.users)),
            whole(f64::from(size.logins)),
            peaks.show(mib),
            walls.show(seconds)
        ));
        Ok(peaks)
    };
    let often = if bench.quick { 1 } else { 3 };
    let at_base = peak(bench, base, often)?;
    let with_logins = peak(bench, more_logins, 1)?;
    let with_users = peak(bench, more_users, 1)?;
    for size in [more_logins, more_users] {
        bench.nights.remove(&size).map(std::fs::remove_dir_all).transpose()?;
    }

    let limit = 300.0 * f64::from(1 << 20);
    let added = (with_users.median() - at_base.median()) / f64::from(more_users.users - base.users);
    let growth = with_logins.median() / at_base.median() - 1.0;
    let rows = vec![
        Row::new(
            "memory: peak of `sync`, 100,000 users and 1,000,000 logins",
            "at most 300 MiB",
            at_base.show(mib),
            format!("{:.2} × target", at_base.median() / limit),
            at_base.median() <= limit,
        ),
        Row::new(
            "memory: per added user",
            "at most 200 bytes",
            format!("{} bytes", whole(added)),
            format!("{:.2} × target", added / 200.0),
            added <= 200.0,
        ),
        Row::new(
            "memory: three times the logins",
            "flat (at most 10 % more)",
            format!("{} to {}", mib(at_base.median()), mib(with_logins.median())),
            format!("{:+.1} %", growth * 100.0),
            growth <= FLAT,
        ),
    ];
    notes.push(
        "Peak resident size of the `boxseat sync` process as the kernel counts it, code of DuckDB's library included; the \
         stand-in is another process."
            .to_owned(),
    );
    Ok(Findings { rows, notes })
}
