//! Measures the simulator: `cargo run --release -p boxseat-simulator --example speed`.
//!
//! It serves from one thread, so the rates are those of one core. The client uses plain sockets with pipelined requests, so
//! that it does not limit the result.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use boxseat_simulator::{Config, Running, spawn_in_thread};

fn main() -> io::Result<()> {
    for (users, logins) in [(500, None), (5_000, Some(150_000)), (100_000, Some(1_000_000)), (100_000, None)]
    {
        let begin = Instant::now();
        let running = spawn_in_thread(config(users, logins))?;
        println!("{users:>7} users, logins {logins:?}: ready in {:.2} s", begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        let stepped = running.step_days(1);
        println!("{:>33} a day in {:.3} s ({} logins)", "", begin.elapsed().as_secs_f64(), stepped.logins);
        running.shutdown_blocking();
    }
    let running = spawn_in_thread(config(5_000, Some(150_000)))?;
    let truth = running.truth_without_events();
    let (user, group) = (&truth.users[0].user_id, &truth.groups[3].group_id);
    let window = "/2.0/events?stream_type=admin_logs&limit=500&created_after=2026-01-01T00:00:00Z";
    for (what, path, count) in [
        ("small: aliases of a user", format!("/2.0/users/{user}/email_aliases"), 40_000),
        ("small: memberships of a user", format!("/2.0/users/{user}/memberships"), 40_000),
        ("one user", format!("/2.0/users/{user}"), 40_000),
        ("memberships of a group", format!("/2.0/groups/{group}/memberships?limit=1000"), 4_000),
        ("1000 users", "/2.0/users?usemarker=true&limit=1000".to_owned(), 400),
        ("500 events", window.to_owned(), 1_000),
    ] {
        let (seconds, bytes) = hammer(&running, &path, count)?;
        let rate = f64::from(count) / seconds;
        println!("{what:<30} {rate:>8.0} requests/s {:>8.1} MB/s", bytes as f64 / seconds / 1e6);
    }
    running.shutdown_blocking();
    Ok(())
}

fn config(users: u32, logins: Option<u64>) -> Config {
    let groups = users / 20;
    Config {
        users,
        groups,
        logins,
        calls_per_minute: None,
        record_requests: 0,
        short_pages: 0.0,
        ..Config::default()
    }
}

/// Requests `path` `count` times. Returns the seconds and the bytes of all bodies.
fn hammer(running: &Running, path: &str, count: u32) -> io::Result<(f64, usize)> {
    const PIPELINED: u32 = 8;
    let mut stream = TcpStream::connect(running.address())?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer simulated-developer-token\r\n\r\n"
    );
    let burst = request.repeat(PIPELINED as usize);
    let begin = Instant::now();
    let mut bytes = 0;
    for _ in 0..count / PIPELINED {
        stream.write_all(burst.as_bytes())?;
        for _ in 0..PIPELINED {
            bytes += read_answer(&mut answers)?;
        }
    }
    Ok((begin.elapsed().as_secs_f64(), bytes))
}

fn read_answer(answers: &mut BufReader<TcpStream>) -> io::Result<usize> {
    let mut length = 0;
    let mut line = String::new();
    answers.read_line(&mut line)?;
    assert!(line.contains("200"), "{line}");
    while line != "\r\n" {
        line.clear();
        answers.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    answers.read_exact(&mut body)?;
    Ok(length)
}
