//! The core alone, without a kernel: what an event costs with up to a million slots.

use super::measure::{Bench, Part};
use super::pictures::{Labels, Series, lines};
use super::statistics::Spread;
use super::tables::table;
use crate::server::Echo;
use core::hint::black_box;
use core::net::SocketAddr;
use core::time::Duration;
use static_cell::ConstStaticCell;
use std::env;
use std::process::{Command, Output};
use std::time::Instant;
use tidegate_core::{
    Action, Completion, Config, Directions, Event, Memory, Op, Outcome, Session, Token,
};

/// The most slots.
const SLOTS: usize = 1_000_000;

/// Bytes of a message.
const MESSAGE: u32 = 64;

/// Messages whose instructions are counted, a multiple of an iteration's; as many digits as twice of it.
const COUNTED: u64 = 32_000;

/// From one connection to the next active one: a prime, so that all are used, and far, so that no cache guesses it.
const STRIDE: usize = 7919;

/// Readiness events in an iteration.
const ITERATION: usize = 16;

/// Windows that a message does not fill, so that a receive of one has drained the socket, as on a real one.
static MEMORY: ConstStaticCell<Memory<SLOTS, 128, 128>> = ConstStaticCell::new(Memory::new());

/// A session over a kernel that always has a message to receive and send capacity.
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
        world.iterate(&[]);
        while world.tokens.len() < slots as usize {
            let known = world.tokens.len();
            world.iterate(&[listener]);
            if world.tokens.len() == known {
                return Err(format!("no connection was accepted after {known}"));
            }
        }
        Ok(world)
    }

    /// So many messages, round robin over `active` connections that are spread over all.
    fn messages(&mut self, active: usize, count: u64) {
        let step = self.tokens.len() / active;
        let mut reports = Vec::with_capacity(ITERATION);
        let mut left = count;
        while left > 0 {
            reports.clear();
            let batch = usize::try_from(left)
                .unwrap_or(ITERATION)
                .min(ITERATION)
                .min(active);
            for _ in 0..batch {
                reports.push(self.tokens[self.next * step]);
                self.next = (self.next + STRIDE) % active;
            }
            self.iterate(&reports);
            left -= batch as u64;
        }
    }

    /// An iteration in which these are readable. A microsecond passes.
    fn iterate(&mut self, readable: &[Token]) {
        self.now += 1000;
        let now = tidegate_core::Instant::from_nanos(self.now);
        for &token in readable {
            let directions = Directions::READ;
            let closing = false;
            let event = Event::Ready {
                token,
                directions,
                closing,
            };
            self.session.handle_event(now, event);
        }
        self.session.handle_timeout(now);
        let mut completed = None;
        while let Some(action) = self.session.poll_output(completed) {
            completed = self.carry_out(action);
        }
        black_box(self.session.poll_timeout());
    }

    fn carry_out(&mut self, action: Action) -> Option<Completion> {
        match action {
            Action::Accept { token, .. } => {
                self.tokens.push(token);
                let peer = SocketAddr::from(([192, 0, 2, 1], 1024));
                let (op, outcome) = (Op::Accept, Outcome::Accepted(Some(peer)));
                let now = self.session.machine().now();
                self.session
                    .handle_event(now, Event::Done { token, op, outcome });
                None
            }
            Action::Recv { token, into } => {
                let window = self.session.receive_into(token, into);
                let message = MESSAGE.min(into.len);
                window[..message as usize].fill(7);
                Some(Completion::of_receive(Ok(message), into.len))
            }
            Action::Send { token, from } => {
                let sent = black_box(self.session.send_from(token, from)).len();
                let sent = u32::try_from(sent).unwrap_or(MESSAGE);
                Some(Completion::of_send(Ok(sent), from.len))
            }
            Action::Arm { .. } => None,
            Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. }
            | Action::Cancel { .. }
            | Action::Close { .. }
            | Action::Rebuild => unreachable!("nothing ends here: {action:?}"),
        }
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

/// What a process of its own does: `slots` of them, `active` connections that talk, so many messages.
///
/// With `clock` it prints the nanoseconds of a message; without, nothing, so that its instructions are the same each time.
///
/// # Errors
///
/// If the machine does not do what it should.
pub fn alone(slots: u32, active: u32, messages: u64, clock: bool) -> Result<(), String> {
    let mut world = World::new(slots)?;
    let began = clock.then(Instant::now);
    world.messages(active.clamp(1, slots) as usize, messages);
    let elapsed = began.map(|began| began.elapsed());
    world.check(messages)?;
    if let Some(elapsed) = elapsed {
        println!("{}", elapsed.as_nanos() as f64 / messages as f64);
    }
    Ok(())
}

/// What was measured with so many slots.
struct Row {
    slots: u32,
    /// Nanoseconds of a message, all connections round robin, and 16 of them.
    times: [Vec<f64>; 2],
    /// Instructions of [`COUNTED`] messages.
    instructions: Option<u64>,
}

/// Measures it.
///
/// # Errors
///
/// If it cannot be started, or does not do what it should.
pub fn events(bench: &mut Bench) -> Result<Part, String> {
    let (slots, rounds, messages): (&[u32], _, _) = if bench.effort.quick {
        (&[100, 10_000], 1, 100_000)
    } else {
        (&[100, 1000, 10_000, 100_000, 1_000_000], 5, 2_000_000)
    };
    bench.begin("events", slots.len() * (rounds + 1), Duration::ZERO);
    let empty = |&slots| Row {
        slots,
        times: [Vec::new(), Vec::new()],
        instructions: None,
    };
    let mut rows: Vec<Row> = slots.iter().map(empty).collect();
    for _ in 0..rounds {
        for row in &mut rows {
            for (times, active) in row.times.iter_mut().zip([row.slots, 16]) {
                times.push(time(row.slots, active, messages)?);
            }
            bench.step(&format!("{} slots", row.slots));
        }
    }
    let counted = rows.iter_mut().try_for_each(|row| {
        row.instructions = Some(instructions(row.slots)?);
        bench.step(&format!("{} slots, counted", row.slots));
        Ok(())
    });
    Ok(Part {
        name: "events",
        markdown: markdown(&rows, rounds, counted),
        pictures: vec![("events.svg", picture(&rows)?)],
    })
}

fn markdown(rows: &[Row], rounds: usize, counted: Result<(), String>) -> String {
    let all: Vec<u64> = rows.iter().filter_map(|row| row.instructions).collect();
    let flat = match (counted, all.iter().max().zip(all.iter().min())) {
        (Ok(()), Some((most, least))) => format!(
            "Between the table sizes, {COUNTED} messages differ by {} instructions.\n",
            most - least
        ),
        (Ok(()), None) => String::new(),
        (Err(why), _) => format!("Instructions were not counted: {why}\n"),
    };
    let cells = |row: &Row| {
        let count = row.instructions.map(|n| n as f64 / COUNTED as f64);
        let time = |times: &Vec<f64>| {
            let spread = Spread::of(times.iter().copied());
            spread.map_or("–".into(), |Spread { median, min, max }| {
                format!("{median:.0} ({min:.0}–{max:.0})")
            })
        };
        let [all, some] = &row.times;
        vec![
            row.slots.to_string(),
            count.map_or("–".into(), |n| format!("{n:.3}")),
            time(all),
            time(some),
        ]
    };
    let head = [
        "slots",
        "instructions",
        "ns, all round robin",
        "ns, 16 of them",
    ];
    let rows: Vec<_> = rows.iter().map(cells).collect();
    format!(
        "A message: an event, a receive of {MESSAGE} bytes, the handler, a send, their completions; {ITERATION} events in an iteration; every slot \
         taken. Nanoseconds: median of {rounds} runs (least–greatest). Instructions (callgrind): the difference of two runs of \
         different length.\n\n{}\n{flat}",
        table(&head, &rows)
    )
}

fn picture(rows: &[Row]) -> Result<String, String> {
    let series = ["all round robin", "16 of them"].iter().enumerate();
    let series: Vec<Series<(f64, Spread)>> = series
        .map(|(which, name)| {
            let points = rows.iter().filter_map(|row| {
                let spread = Spread::of(row.times[which].iter().copied())?;
                Some((f64::from(row.slots), spread))
            });
            ((*name).to_owned(), points.collect())
        })
        .collect();
    let labels = Labels {
        title: "The core alone: time for each message",
        x: "slots, all taken",
        y: "ns",
    };
    lines(&labels, &series)
}

/// A process of its own; behind `tool`, if there is one.
fn process(tool: &[&str], slots: u32, active: u32, messages: u64) -> Result<Output, String> {
    let us = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = match tool {
        [] => Command::new(us),
        [program, options @ ..] => {
            let mut command = Command::new(program);
            command.args(options).arg(us);
            command
        }
    };
    let what = if tool.is_empty() { "timed" } else { "counted" };
    let numbers = [u64::from(slots), active.into(), messages];
    let numbers = numbers.map(|number| number.to_string());
    let output = command.arg(what).args(numbers).output();
    output.map_err(|error| format!("{command:?}: {error}"))
}

/// Nanoseconds for each message.
fn time(slots: u32, active: u32, messages: u64) -> Result<f64, String> {
    let output = process(&[], slots, active, messages)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    text.trim().parse().map_err(|_| said())
}

/// Instructions of as many messages more, with all connections round robin.
fn instructions(slots: u32) -> Result<u64, String> {
    let callgrind = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ];
    let count = |messages| -> Result<u64, String> {
        let output = process(&callgrind, slots, slots, messages)?;
        let said = String::from_utf8_lossy(&output.stderr);
        collected(&said).ok_or_else(|| said.into_owned())
    };
    let short = count(COUNTED)?;
    Ok(count(2 * COUNTED)?.saturating_sub(short))
}

/// The number of instructions that callgrind prints at its end.
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
