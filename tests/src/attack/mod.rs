//! Attacks on the program, in real sockets: what they do ([`ATTACKS`]), and what a well-behaved client with another
//! source address sees of them ([`Attack::play`]).
//!
//! Each is played against the program with the options that a sensible operator would use where it is to be expected.

mod churn;
mod crowd;
mod list;

use crate::bounded::until;
use crate::net::{connect_from, descriptors, pattern, resident};
use crate::process::Program;
pub use churn::Churn;
use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use crowd::{Step, besiege};
pub use list::ATTACKS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

/// Where the well-behaved client comes from. Attackers come from elsewhere.
const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The least that must have been done to call it an attack.
const LEAST: u64 = 200;

/// Tries of an exchange: a client that was evicted comes again.
const TRIES: usize = 10;

/// Pause of the well-behaved client between two exchanges.
const BETWEEN: Duration = Duration::from_millis(2);

/// Pages that a table of 64 may touch that it had not: its windows and records, and a little for the rest.
const TABLE: u64 = 64 * (4096 + 16384 + 256) + SLACK;

/// Second halves of a count of exchanges, while memory grows in each.
const HALVES: u32 = 4;
/// Less than half a hundred pages are not growth.
const SLACK: u64 = 128 * 1024;

/// Where attackers come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sources {
    /// All from one address.
    One,
    /// From some 250.
    Many,
}

/// An attack: a crowd of clients, each of which does the same thing over and over.
#[derive(Debug)]
pub struct Attack {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// What the program does meanwhile.
    pub service: &'static str,
    /// The options that an operator would use against it.
    pub options: &'static [&'static str],
    /// Clients at a time; 0 is peace, to compare with.
    clients: usize,
    sources: Sources,
    /// Between two steps of each client.
    pause: Duration,
    step: fn(&mut TcpStream, u32) -> io::Result<Step>,
}

/// How long an attack lasts.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// Until the well-behaved client was served so often.
    Visits(u64),
    /// So long.
    For(Duration),
}

/// What was seen of an attack.
#[derive(Clone, Debug)]
pub struct Report {
    /// Connections that the attackers tried to make, or steps that they made.
    pub attempts: u64,
    /// Exchanges of the well-behaved client.
    pub exchanges: u64,
    /// Times that one had to be tried again.
    pub again: u64,
    /// Those that did not get what they should, however often they were tried.
    pub unserved: u64,
    /// The longest exchange.
    pub worst: Duration,
    /// The middle one.
    pub median: Duration,
    /// Longer than 99 of 100.
    pub p99: Duration,
    /// From the end of the attack until the table is empty and an exchange succeeds.
    pub recovery: Duration,
    /// Resident bytes before the attack.
    pub before: u64,
    /// At half time.
    pub half: u64,
    /// The most of the second half.
    pub peak: u64,
    /// Descriptors that are open after it and were not before, or the reverse.
    pub descriptors: i64,
    /// Connections that the program closed by its own decision, or refused.
    pub fended_off: u64,
    /// Events that cannot be, and listeners lost.
    pub mistakes: u64,
    /// Bytes of its output that are neither printable nor ends of lines.
    pub unprintable: usize,
}

impl Attack {
    /// Plays it.
    ///
    /// # Panics
    ///
    /// If the program does not start, respond or end.
    #[must_use]
    pub fn play(&self, length: Length) -> Report {
        raise_limit();
        let arguments = [&["--service", self.service], self.options].concat();
        let mut program = Program::start(&arguments);
        let (pid, address) = (program.pid(), program.address());
        let echoes = self.service == "echo";
        exchange(address, 0, echoes).expect("served in peace");
        until("nothing is open", || program.statistics()["open"] == 0);
        let (before, at_first) = (resident(pid), descriptors(pid).len());
        let (over, attempts) = (AtomicBool::new(false), AtomicU64::new(0));
        let (mut report, ended) = thread::scope(|scope| {
            scope.spawn(|| besiege(self, address, &over, &attempts));
            let report = self.watch(&program, length, &attempts);
            over.store(true, Ordering::Relaxed);
            (report, Instant::now())
        });
        report.before = before;
        report.attempts = attempts.load(Ordering::Relaxed);
        until("the table is empty", || program.statistics()["open"] == 0);
        exchange(address, 1, echoes).expect("served after it");
        report.recovery = ended.elapsed();
        until("the last is closed", || program.statistics()["open"] == 0);
        report.descriptors = difference(descriptors(pid).len(), at_first);
        let statistics = program.statistics();
        let of = |name: &str| statistics[name];
        report.mistakes = of("unasked") + of("listeners_failed") + of("repairs") + of("rebuilds");
        report.fended_off = [
            "refused_full",
            "refused_source",
            "closed_evicted",
            "closed_too_long",
            "closed_first_byte",
            "closed_request",
            "closed_write_stall",
            "closed_idle",
            "closed_linger",
        ]
        .map(of)
        .iter()
        .sum();
        let ended = program.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        report.unprintable = unprintable(&ended.output);
        report
    }

    /// What is wrong, if anything is.
    ///
    /// # Errors
    ///
    /// Returns what is wrong.
    pub fn judge(&self, report: &Report) -> Result<(), String> {
        // Where more sources come than fit, a newcomer that is slow with its first byte may be the one that has been
        // idle longest.
        let evicts = self.options.contains(&"evict");
        let wrong = [
            (
                report.again > 0 && !evicts,
                "a well-behaved client was cut off",
            ),
            (report.unserved > 0, "a well-behaved client was not served"),
            (report.peak > report.half + SLACK, "the memory grows"),
            (
                report.peak > report.before + TABLE,
                "more memory than the table has",
            ),
            (report.descriptors != 0, "descriptors are left"),
            (report.mistakes > 0, "something happened that cannot be"),
            (report.unprintable > 0, "bytes of peers were printed raw"),
        ];
        match wrong.iter().find(|(is, _)| *is) {
            Some((_, what)) => Err(format!("{what}: {report:?}")),
            None => Ok(()),
        }
    }

    /// Exchanges while the attack lasts.
    fn watch(&self, program: &Program, length: Length, attempts: &AtomicU64) -> Report {
        let echoes = self.service == "echo";
        let least = if self.clients == 0 { 0 } else { LEAST };
        let began = Instant::now();
        let (mut waits, mut again, mut unserved) = (Vec::new(), 0, 0);
        let (mut half, mut peak) = (None, 0);
        let (mut length, mut more) = (length, HALVES);
        loop {
            let attacked = attempts.load(Ordering::Relaxed) >= least;
            let n = waits.len() as u64;
            // Full tables and windows that were all used once stay as they are.
            let (half_time, over) = match length {
                Length::Visits(all) => (n >= all / 2, n >= all),
                Length::For(time) => (began.elapsed() >= time / 2, began.elapsed() >= time),
            };
            if attacked && half_time {
                let now = resident(program.pid());
                half.get_or_insert(now);
                peak = peak.max(now);
            }
            if attacked && over {
                // Not all windows may have been used once in so few exchanges: an unbounded growth shows again and
                // again.
                let grows = half.is_some_and(|half| peak > half + SLACK);
                let Length::Visits(all) = length else { break };
                if !grows || more == 0 {
                    break;
                }
                (half, more) = (Some(peak), more - 1);
                length = Length::Visits(all + all / 2);
            }
            let began = Instant::now();
            let mut tries = (0..TRIES).map(|_| exchange(program.address(), n, echoes));
            match tries.position(|tried| tried.is_ok()) {
                Some(more) => again += more as u64,
                None => unserved += 1,
            }
            waits.push(began.elapsed());
            thread::sleep(BETWEEN);
        }
        waits.sort_unstable();
        let at = |index: usize| waits.get(index).copied().unwrap_or_default();
        Report {
            attempts: 0,
            exchanges: waits.len() as u64,
            again,
            unserved,
            worst: waits.last().copied().unwrap_or_default(),
            median: at(waits.len() / 2),
            p99: at(waits.len() * 99 / 100),
            recovery: Duration::ZERO,
            before: 0,
            half: half.unwrap_or(peak),
            peak,
            descriptors: 0,
            fended_off: 0,
            mistakes: 0,
            unprintable: 0,
        }
    }
}

/// One exchange of the well-behaved client: connects, sends something, sends FIN, and reads its reply to the end.
///
/// # Errors
///
/// It was refused, reset, or got another reply.
fn exchange(address: SocketAddr, n: u64, echoes: bool) -> io::Result<()> {
    let mut client = connect_from(GOOD, address)?;
    let mut message = pattern(n, 200);
    message
        .iter_mut()
        .for_each(|byte| *byte = b'a' + *byte % 26);
    message.push(b'\n');
    io::Write::write_all(&mut client, &message)?;
    client.shutdown(std::net::Shutdown::Write)?;
    let mut heard = Vec::new();
    io::Read::read_to_end(&mut client, &mut heard)?;
    let expected: &[u8] = if echoes { &message } else { b"" };
    if heard == expected {
        Ok(())
    } else {
        Err(io::Error::other("another reply than expected"))
    }
}

fn difference(now: usize, before: usize) -> i64 {
    let count = |n| i64::try_from(n).unwrap_or(i64::MAX);
    count(now) - count(before)
}

fn unprintable(output: &str) -> usize {
    let fine = |c: &char| *c == '\n' || matches!(c, ' '..='~');
    output.chars().filter(|c| !fine(c)).count()
}

/// Attackers need descriptors, too.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("RLIMIT_NOFILE");
}
