//! The core alone, without a kernel: what an event costs with up to a million slots.

use super::measure::{Bench, Part};
use super::pictures::{Labels, Series, lines};
use super::statistics::Spread;
use super::tables::table;
use crate::server::Echo;
use core::hint::black_box;
use core::net::SocketAddr;
use static_cell::ConstStaticCell;
use std::env;
use std::process::Command;
use std::time::Instant;
use tidegate_core::{Action, Config, Directions, Event, Memory, Op, Outcome, Session, Token};

/// The most slots.
const SLOTS: usize = 1_000_000;

/// Bytes of a message.
const MESSAGE: u32 = 64;

/// Reports in a turn.
const TURN: usize = 16;

/// Windows that a message does not fill, so that a receive of one has drained the socket, as on a real one.
static MEMORY: ConstStaticCell<Memory<SLOTS, 128, 128>> = ConstStaticCell::new(Memory::new());

/// A session over a kernel that always has a message to receive and room to send.
struct World {
    session: Session<'static, Echo>,
    now: u64,
    tokens: Vec<Token>,
    next: usize,
}

impl World {
    /// With so many slots, each taken by a connection that has had one message, so that the state that it is in from then on is
    /// what is measured.
    fn new(slots: u32) -> Result<Self, String> {
        let config = Config {
            connections: Some(slots),
            ..Config::default()
        };
        let memory = MEMORY.try_take().ok_or("one world in a process")?;
        let mut session = Session::new(memory, &config, Echo).map_err(|error| error.to_string())?;
        let listener = session.listen(None).map_err(|error| error.to_string())?;
        let mut world = Self {
            session,
            now: 1,
            tokens: Vec::with_capacity(slots as usize),
            next: 0,
        };
        world.turn(&[]);
        while world.tokens.len() < slots as usize {
            let known = world.tokens.len();
            world.turn(&[listener]);
            if world.tokens.len() == known {
                return Err(format!("no connection was accepted after {known}"));
            }
        }
        Ok(world)
    }

    /// So many messages, in turn over `active` connections that are spread over all.
    fn messages(&mut self, active: usize, count: u64) {
        let step = self.tokens.len() / active;
        let mut reports = Vec::with_capacity(TURN);
        let mut left = count;
        while left > 0 {
            reports.clear();
            let batch = usize::try_from(left).unwrap_or(TURN).min(TURN).min(active);
            for _ in 0..batch {
                reports.push(self.tokens[self.next * step]);
                self.next = (self.next + 1) % active;
            }
            self.turn(&reports);
            left -= batch as u64;
        }
    }

    /// A turn of the loop in which these are readable. A microsecond passes.
    fn turn(&mut self, readable: &[Token]) {
        self.now += 1000;
        let now = tidegate_core::Instant::from_nanos(self.now);
        for &token in readable {
            let directions = Directions::READ;
            let closing = false;
            self.session.handle_event(
                now,
                Event::Ready {
                    token,
                    directions,
                    closing,
                },
            );
        }
        self.session.handle_timeout(now);
        while let Some(action) = self.session.poll_output() {
            if let Some(event) = self.carry_out(action) {
                self.session.handle_event(now, event);
            }
        }
        black_box(self.session.poll_timeout());
    }

    fn carry_out(&mut self, action: Action) -> Option<Event> {
        let (token, op, outcome) = match action {
            Action::Accept { token, .. } => {
                self.tokens.push(token);
                let peer = SocketAddr::from(([192, 0, 2, 1], 1024));
                (token, Op::Accept, Outcome::Accepted(Some(peer)))
            }
            Action::Recv { token, into } => {
                let message = MESSAGE.min(into.len);
                self.session.receive_into(token, into)[..message as usize].fill(7);
                (token, Op::Recv, Outcome::Drained(message))
            }
            Action::Send { token, from } => {
                black_box(self.session.send_from(token, from));
                (token, Op::Send, Outcome::Complete(from.len))
            }
            Action::Arm { .. } => return None,
            Action::Refuse { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
            | Action::Cancel { .. }
            | Action::Close { .. }
            | Action::Rebuild => unreachable!("nothing ends here: {action:?}"),
        };
        Some(Event::Done { token, op, outcome })
    }

    /// Whether every message was echoed.
    fn check(&self, messages: u64) -> Result<(), String> {
        let stats = self.session.stats();
        let expected = (messages + self.tokens.len() as u64) * u64::from(MESSAGE);
        let (came, went) = (stats.bytes_in, stats.bytes_out);
        if [came, went] == [expected; 2] && stats.unasked == 0 {
            return Ok(());
        }
        Err(format!("{came} bytes came and {went} went, not {expected}"))
    }
}

/// What a process of its own does: `slots` of them, `active` connections that talk, so many messages; answers nanoseconds for
/// each message.
///
/// # Errors
///
/// If the machine does not do what it should.
pub fn alone(slots: u32, active: u32, messages: u64) -> Result<f64, String> {
    let mut world = World::new(slots)?;
    let began = Instant::now();
    world.messages(active.clamp(1, slots) as usize, messages);
    let nanos = began.elapsed().as_nanos() as f64;
    world.check(messages)?;
    Ok(nanos / messages as f64)
}

/// Measures it.
///
/// # Errors
///
/// If it cannot be started, or does not do what it should.
pub fn events(bench: &mut Bench) -> Result<Part, String> {
    let quick = bench.effort.quick;
    let slots: &[u32] = if quick {
        &[100, 10_000]
    } else {
        &[100, 1000, 10_000, 100_000, 1_000_000]
    };
    let rounds = if quick { 1 } else { 5 };
    bench.begin("events", slots.len() * (rounds + 1));
    let mut rows = Vec::new();
    let mut series: [Series<(f64, Spread)>; 2] = [
        ("all in turn".to_owned(), Vec::new()),
        ("16 of them".to_owned(), Vec::new()),
    ];
    let mut missing = None;
    let mut counted = Vec::new();
    for &slots in slots {
        let messages = if quick { 100_000 } else { 2_000_000 };
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (times, active) in times.iter_mut().zip([slots, 16]) {
                times.push(time(slots, active, messages)?);
            }
            bench.step(&format!("{slots} slots"));
        }
        let [all, some] = times.map(|times| Spread::of(times).unwrap_or_else(|| unreachable!()));
        for ((_, points), spread) in series.iter_mut().zip([all, some]) {
            points.push((f64::from(slots), spread));
        }
        let instructions = instructions(slots).unwrap_or_else(|why| {
            missing = Some(why);
            None
        });
        bench.step(&format!("{slots} slots, counted"));
        counted.extend(instructions);
        rows.push(vec![
            slots.to_string(),
            instructions.map_or("–".into(), |n| format!("{n:.2}")),
            format!("{:.1} ({:.1}–{:.1})", all.median, all.min, all.max),
            format!("{:.1} ({:.1}–{:.1})", some.median, some.min, some.max),
        ]);
    }
    let flat = match (&missing, Spread::of(counted)) {
        (Some(why), _) => format!("Instructions were not counted: {why}.\n"),
        (None, Some(all)) if all.min < all.max => {
            format!("Instructions differ by {:.2} at most.\n", all.max - all.min)
        }
        (None, _) => "Instructions are exactly the same.\n".into(),
    };
    let head = ["slots", "instructions", "ns, all in turn", "ns, 16 of them"];
    let markdown = format!(
        "A message: a report, a receive of {MESSAGE} bytes, the handler, a send, their answers; {TURN} reports in a turn; every slot \
         taken. Nanoseconds are medians of {rounds} runs (least–greatest); instructions (callgrind) are the difference of two \
         runs of different length.\n\n{}\n{flat}",
        table(&head, &rows)
    );
    let labels = Labels {
        title: "The core alone: time for each message",
        x: "slots, all taken",
        y: "ns",
    };
    let picture = lines(&labels, &series)?;
    Ok(Part {
        name: "events",
        markdown,
        pictures: vec![("events.svg", picture)],
    })
}

/// Arguments for a process of its own.
fn arguments(slots: u32, active: u32, messages: u64) -> [String; 4] {
    let numbers = [u64::from(slots), active.into(), messages];
    let [slots, active, messages] = numbers.map(|number| number.to_string());
    ["alone".into(), slots, active, messages]
}

fn time(slots: u32, active: u32, messages: u64) -> Result<f64, String> {
    let us = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(us);
    let output = command.args(arguments(slots, active, messages)).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    text.trim().parse().map_err(|_| said())
}

/// Instructions for each message, with all connections in turn; `None` never, but why not if valgrind is missing.
fn instructions(slots: u32) -> Result<Option<f64>, String> {
    let (short, long) = (20_000, 60_000);
    let count = |messages| -> Result<u64, String> {
        let us = env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(us).args(arguments(slots, slots, messages));
        let output = command
            .output()
            .map_err(|error| format!("valgrind: {error}; install it to count them"))?;
        collected(&String::from_utf8_lossy(&output.stderr))
            .ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let difference = count(long)?.saturating_sub(count(short)?);
    Ok(Some(difference as f64 / (long - short) as f64))
}

/// The number of instructions that callgrind tells at its end.
fn collected(said: &str) -> Option<u64> {
    let line = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_echoed_and_counted() {
        let mut world = World::new(100).expect("a world");
        world.messages(100, 1000);
        world.messages(16, 1000);
        assert_eq!(world.check(2000), Ok(()));
        assert!(world.check(1999).is_err());
    }

    #[test]
    fn callgrind_is_understood() {
        let said = "==7== Events    : Ir\n==7== Collected : 8449274\n==7== I   refs: 8,449,274\n";
        assert_eq!(collected(said), Some(8_449_274));
        assert_eq!(collected("valgrind: not found"), None);
    }
}
