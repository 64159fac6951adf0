//! The command line of `load`.

use super::{Plan, Traffic};
use core::net::SocketAddrV4;
use core::time::Duration;
use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;
use rustix::process::Pid;
use std::ffi::OsString;
use std::path::PathBuf;

/// How it is called.
pub const USAGE: &str = "\
Usage: load IPV4:PORT [OPTION]...
Loads an echo server, and compares every byte that comes back.

  --mode MODE        [echo]
                       echo   messages there and back, over and over
                       bulk   the same, of 16 KiB
                       churn  connect, one message there and back, close
                       fair   the latency of one small client while others stream
  --connections N    open at a time; fair: clients that stream [64; churn 32; fair 8]
  --active N         of those, how many talk [all]
  --in-flight N      messages on the way, for each that talks [1; fair 4]
  --size BYTES       of a message [64; bulk and fair 16384]
  --seconds N        while everything is counted [3]
  --warm-up N        seconds before that [0.3]
  --sources N        addresses to connect from, 127.0.0.2 and on, up to 250;
                       0: as the kernel likes [0; churn, and from 20,000 connections: 250]
  --pid PID          the server's process, for its CPU time [searched for]
  --json FILE        write the results there, too
  --plot FILE.svg    draw the latencies there (needs --features bench)
  --help             print this

Exit code: 0 every byte was right, 1 something was lost or wrong, 2 wrong usage.
";

/// The options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The load.
    pub plan: Plan,
    /// Where results go in JSON.
    pub json: Option<PathBuf>,
    /// Where the picture goes.
    pub plot: Option<PathBuf>,
}

#[derive(Default)]
struct Given {
    address: Option<SocketAddrV4>,
    mode: Option<String>,
    connections: Option<u32>,
    active: Option<u32>,
    in_flight: Option<u32>,
    size: Option<u32>,
    seconds: Option<f64>,
    warm_up: Option<f64>,
    sources: Option<u8>,
    pid: Option<i32>,
    json: Option<PathBuf>,
    plot: Option<PathBuf>,
}

/// Takes the arguments, the first of which is the name of the program; `None` if help was requested.
///
/// # Errors
///
/// What is wrong with which.
pub fn options<I: IntoIterator<Item: Into<OsString>>>(
    arguments: I,
) -> Result<Option<Options>, lexopt::Error> {
    let mut given = Given::default();
    let mut arguments = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("mode") => given.mode = Some(arguments.value()?.string()?),
            Long("connections") => given.connections = Some(arguments.value()?.parse()?),
            Long("active") => given.active = Some(arguments.value()?.parse()?),
            Long("in-flight") => given.in_flight = Some(arguments.value()?.parse()?),
            Long("size") => given.size = Some(arguments.value()?.parse()?),
            Long("seconds") => given.seconds = Some(arguments.value()?.parse()?),
            Long("warm-up") => given.warm_up = Some(arguments.value()?.parse()?),
            Long("sources") => given.sources = Some(arguments.value()?.parse()?),
            Long("pid") => given.pid = Some(arguments.value()?.parse()?),
            Long("json") => given.json = Some(arguments.value()?.into()),
            Long("plot") => given.plot = Some(arguments.value()?.into()),
            Long("help") => return Ok(None),
            Value(address) if given.address.is_none() => given.address = Some(address.parse()?),
            Short(_) | Long(_) | Value(_) => return Err(argument.unexpected()),
        }
    }
    given.check().map(Some).map_err(Into::into)
}

impl Given {
    fn check(self) -> Result<Options, String> {
        let address = self.address.ok_or("which server? IPV4:PORT is missing")?;
        let traffic = self.traffic()?;
        let many = self.connections.is_some_and(|n| n >= 20_000);
        let churn = matches!(traffic, Traffic::Churn { .. });
        let sources = self.sources.unwrap_or(if churn || many { 250 } else { 0 });
        if sources > 250 {
            return Err(format!("--sources {sources}: there are 250 at most"));
        }
        if sources > 0 && !address.ip().is_loopback() && self.sources.is_some() {
            return Err(format!(
                "--sources is for servers on the loopback, not {address}"
            ));
        }
        let sources = if address.ip().is_loopback() {
            sources
        } else {
            0
        };
        let server = self
            .pid
            .map(|pid| Pid::from_raw(pid.max(0)).ok_or(format!("--pid {pid}: no such process")))
            .transpose()?;
        Ok(Options {
            plan: Plan {
                address,
                traffic,
                warm_up: seconds("--warm-up", self.warm_up.unwrap_or(0.3), 0.0)?,
                window: seconds("--seconds", self.seconds.unwrap_or(3.0), 0.01)?,
                server,
                sources,
            },
            json: self.json,
            plot: self.plot,
        })
    }

    fn traffic(&self) -> Result<Traffic, String> {
        let mode = self.mode.as_deref().unwrap_or("echo");
        let or = |given, otherwise| u32::max(1, Option::unwrap_or(given, otherwise));
        if let Some((name, _)) = [
            ("--connections", self.connections),
            ("--active", self.active),
            ("--in-flight", self.in_flight),
            ("--size", self.size),
        ]
        .iter()
        .find(|(_, value)| *value == Some(0))
        {
            return Err(format!("{name} 0: must be at least 1"));
        }
        let (small, large, limit) = (64, 16 * 1024, 16 * 1024 * 1024);
        let size = |otherwise| match or(self.size, otherwise) {
            size if u64::from(size) * u64::from(self.in_flight.unwrap_or(1)) > limit => {
                Err("--size times --in-flight: must be 16 MiB at most".to_owned())
            }
            size => Ok(size),
        };
        let echo = |size| {
            let connections = or(self.connections, 64);
            let active = or(self.active, connections);
            if active > connections {
                return Err(format!(
                    "--active {active}: only {connections} connections are open"
                ));
            }
            Ok(Traffic::Echo {
                connections,
                active,
                in_flight: or(self.in_flight, 1),
                size,
            })
        };
        if mode != "echo" && mode != "bulk" && self.active.is_some() {
            return Err(format!("--active: all clients are active in mode {mode}"));
        }
        match mode {
            "echo" => echo(size(small)?),
            "bulk" => echo(size(large)?),
            "churn" if self.in_flight.is_some() => {
                Err("--in-flight: a connection of mode churn has one message".into())
            }
            "churn" => match size(small)? {
                size if size > 65_536 => Err("--size: 65536 at most in mode churn".into()),
                size => Ok(Traffic::Churn {
                    clients: or(self.connections, 32),
                    size,
                }),
            },
            "fair" => Ok(Traffic::Fair {
                bulk: or(self.connections, 8),
                in_flight: or(self.in_flight, 4),
                size: size(large)?,
            }),
            other => Err(format!("--mode {other}: must be echo, bulk, churn or fair")),
        }
    }
}

fn seconds(name: &str, value: f64, least: f64) -> Result<Duration, String> {
    match Duration::try_from_secs_f64(value) {
        Ok(duration) if (least..=86_400.0).contains(&value) => Ok(duration),
        _ => Err(format!(
            "{name} {value}: must be a number of seconds from {least} to 86400"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Plan, String> {
        let words = core::iter::once("load").chain(line.split_whitespace());
        match options(words) {
            Ok(Some(options)) => Ok(options.plan),
            Ok(None) => Err("help".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn defaults_depend_on_the_mode() {
        let traffic = |line| parse(line).expect("a plan").traffic;
        let echo = |connections, active, in_flight, size| Traffic::Echo {
            connections,
            active,
            in_flight,
            size,
        };
        assert_eq!(traffic("127.0.0.1:1"), echo(64, 64, 1, 64));
        assert_eq!(traffic("127.0.0.1:1 --mode bulk"), echo(64, 64, 1, 16_384));
        assert_eq!(
            traffic("--connections 10 127.0.0.1:1 --active 3 --in-flight 5 --size 7"),
            echo(10, 3, 5, 7)
        );
        assert_eq!(
            traffic("127.0.0.1:1 --mode churn"),
            Traffic::Churn {
                clients: 32,
                size: 64
            }
        );
        assert_eq!(
            traffic("127.0.0.1:1 --mode fair --connections 9"),
            Traffic::Fair {
                bulk: 9,
                in_flight: 4,
                size: 16_384
            }
        );
        let sources = |line| parse(line).expect("a plan").sources;
        assert_eq!(sources("127.0.0.1:1"), 0);
        assert_eq!(sources("127.0.0.1:1 --mode churn"), 250);
        assert_eq!(sources("192.0.2.1:1 --mode churn"), 0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in [
            ("", "IPV4:PORT is missing"),
            ("there", "invalid"),
            ("127.0.0.1:1 127.0.0.1:2", "127.0.0.1:2"),
            (
                "127.0.0.1:1 --mode slow",
                "must be echo, bulk, churn or fair",
            ),
            ("127.0.0.1:1 --connections 0", "--connections 0"),
            ("127.0.0.1:1 --active 65", "only 64"),
            ("127.0.0.1:1 --size 99999999", "16 MiB"),
            ("127.0.0.1:1 --seconds 0", "--seconds 0"),
            ("127.0.0.1:1 --seconds -1", "--seconds -1"),
            ("127.0.0.1:1 --seconds NaN", "--seconds NaN"),
            ("127.0.0.1:1 --sources 251", "250 at most"),
            ("192.0.2.1:1 --sources 2", "not 192.0.2.1:1"),
            ("127.0.0.1:1 --pid 0", "--pid 0"),
            ("127.0.0.1:1 --mode fair --active 2", "mode fair"),
            ("127.0.0.1:1 --mode churn --in-flight 2", "one message"),
            ("127.0.0.1:1 --wat", "--wat"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
        assert_eq!(parse("--help").expect_err("help"), "help");
    }
}
