//! `--control`: an operator's commands in, replies out. Each reply ends with a line that begins with `ok` or `error`.

use super::commands::{Command, LINE, Target};
use super::counters;
use super::recorder;
use super::report;
use super::signals;
use core::fmt::{Display, Write};
use core::time::Duration;
use std::time::Instant;
use tidegate::{Conn, Handler, SendError, Token};
use tidegate_core::heapless::{String as Text, Vec};

/// The longest piece of a reply. A longer one is sent in pieces, as send capacity allows.
const PIECE: usize = 4096;

/// The end of a reply.
const OK: &str = "ok\n";

/// Connections that are found in one pass, to be dropped.
const TOGETHER: usize = 64;

/// Executes commands.
#[derive(Debug)]
pub(crate) struct Control {
    began: Instant,
}

impl Control {
    pub(crate) const fn new(began: Instant) -> Self {
        Self { began }
    }

    /// Executes a command and sends its reply, all of it, unless there is no send capacity.
    fn execute(&self, conn: &mut Conn<'_>, line: &[u8], next: &mut u32) -> Result<(), SendError> {
        if line.len() >= LINE {
            return too_long(conn);
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        match Command::parse(line) {
            Ok(Command::Status) => self.status(conn),
            Ok(Command::Connections) => connections(conn, next),
            Ok(Command::Recorder) => recorded(conn),
            Ok(Command::Drop(target)) => {
                has_capacity(conn)?;
                match drop_all(conn, target) {
                    0 => say(conn, "error: no such connection; connections lists them"),
                    n => say(conn, format_args!("ok: {n} dropped")),
                }
            }
            Ok(Command::Log(level)) => {
                log::set_max_level(level);
                say(conn, "ok")
            }
            Ok(Command::Drain) => {
                has_capacity(conn)?;
                if signals::stop_wanted() {
                    return say(conn, "error: draining already; a SIGTERM more ends at once");
                }
                signals::want_stop();
                say(conn, "ok: draining")
            }
            Err(why) => say(conn, format_args!("error: {why}")),
        }
    }

    /// Every counter, a line each.
    fn status(&self, conn: &mut Conn<'_>) -> Result<(), SendError> {
        let counters = counters::with_own(conn.stats());
        let mut text = Text::<PIECE>::new();
        // The buffer fits the longest line: a test asserts that.
        report::each(&counters, self.began.elapsed(), |name, value| {
            let _ = writeln!(text, "{name} {value}");
        });
        let _ = text.push_str(OK);
        conn.send(text.as_bytes())
    }
}

impl Handler for Control {
    /// The first slot of the table whose connection has not been sent.
    type State = u32;

    /// Replies command by command. A command that walks the table ends the service of this connection: the others are
    /// serviced before the next one, however many commands came at once.
    fn readable(&mut self, conn: &mut Conn<'_>, next: &mut u32) {
        while let Some((line, frame)) = first_line(conn) {
            if self.execute(conn, line, next).is_err() {
                // There is no send capacity. The command stays in the window, and is read again when there is.
                return;
            }
            conn.consume(frame);
            if walks_the_table(line) {
                conn.set_timer(Duration::ZERO);
                return;
            }
        }
        // What is left at the end, or is more than a line may have, is none.
        if conn.has_ended() || conn.data().len() >= LINE && too_long(conn).is_ok() {
            conn.finish();
        }
    }

    /// The last line may lack its line feed (`printf status | nc -NU PATH`).
    fn ended(&mut self, conn: &mut Conn<'_>, next: &mut u32) {
        self.readable(conn, next);
    }
}

/// The first line of the data, without its line feed, and how many bytes it takes up. At the peer's FIN what is left is a
/// line.
fn first_line<'c>(conn: &Conn<'c>) -> Option<(&'c [u8], usize)> {
    let data = conn.data();
    match data.iter().position(|&byte| byte == b'\n') {
        Some(end) => Some((&data[..end], end + 1)),
        None => (conn.has_ended() && !data.is_empty()).then_some((data, data.len())),
    }
}

/// Whether the work for a line grows with the table.
fn walks_the_table(line: &[u8]) -> bool {
    matches!(
        Command::parse(line.trim_ascii()),
        Ok(Command::Connections | Command::Drop(_))
    )
}

/// What the flight recorder has kept, a line for each input, the oldest first.
fn recorded(conn: &mut Conn<'_>) -> Result<(), SendError> {
    let mut text = recorder::lines(conn.last_inputs());
    let _ = text.push_str(OK);
    conn.send(text.as_bytes())
}

/// A command that takes effect only once must be replied to in the same service. If there is no send capacity for that,
/// `writable` is called when there is.
fn has_capacity(conn: &mut Conn<'_>) -> Result<(), SendError> {
    if conn.capacity() >= LINE {
        return Ok(());
    }
    // More than fits now, so nothing of it is sent.
    conn.send(&[0; LINE])
}

fn say(conn: &mut Conn<'_>, what: impl Display) -> Result<(), SendError> {
    let mut text = Text::<PIECE>::new();
    // Far more than a command and its reply.
    let _ = writeln!(text, "{what}");
    conn.send(text.as_bytes())
}

fn too_long(conn: &mut Conn<'_>) -> Result<(), SendError> {
    let most = LINE - 1;
    say(conn, format_args!("error: a line has at most {most} bytes"))
}

/// Every connection, a line each, in the order of the table. One that opens or closes meanwhile may be listed or not.
fn connections(conn: &mut Conn<'_>, next: &mut u32) -> Result<(), SendError> {
    loop {
        let mut text = Text::new();
        let left = piece(conn, *next, &mut text);
        if left.is_none() {
            // It fits: a piece leaves capacity for it.
            let _ = text.push_str(OK);
        }
        conn.send(text.as_bytes())?;
        *next = left.unwrap_or(0);
        if left.is_none() {
            return Ok(());
        }
    }
}

/// As many connections as fit, from this slot of the table on; returns the slot to go on with. Work: each slot of the
/// table that was ever used.
fn piece(conn: &Conn<'_>, first: u32, text: &mut Text<PIECE>) -> Option<u32> {
    let rest = conn.connections().skip_while(|token| token.index() < first);
    for token in rest {
        let Some(info) = conn.info_of(token) else {
            continue;
        };
        let age = conn.now().since(info.opened_at);
        let mut line = Text::<LINE>::new();
        let _ = writeln!(
            line,
            "{} listener={} seconds={}.{:03} in={} out={}",
            info.peer,
            info.listener,
            age.as_secs(),
            age.subsec_millis(),
            info.bytes_in,
            info.bytes_out
        );
        if text.len() + line.len() + OK.len() > PIECE || text.push_str(&line).is_err() {
            return Some(token.index());
        }
    }
    None
}

/// Closes the connections of a target, except the operator's; returns how many.
fn drop_all(conn: &mut Conn<'_>, target: Target) -> usize {
    let (own, mut first, mut dropped) = (conn.token(), 0, 0);
    loop {
        let mut found = Vec::<Token, TOGETHER>::new();
        let rest = conn.connections().skip_while(|token| token.index() < first);
        let meant = |token: &Token| {
            let info = conn.info_of(*token);
            *token != own && info.is_some_and(|info| target.is(info.peer))
        };
        found.extend(rest.filter(meant).take(TOGETHER));
        let Some(last) = found.last() else {
            return dropped;
        };
        first = last.index() + 1;
        for token in &found {
            dropped += usize::from(conn.abort_other(*token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::counters::Counters;
    use super::*;
    use tidegate::{Reason, Stats};
    use tidegate_core::Memory;
    use tidegate_sim::{Interface, Script, Setup, World};

    #[test]
    fn the_longest_status_and_the_longest_line_fit() {
        let most = u64::MAX;
        let stats = Stats {
            accepted: most,
            closed: [most; Reason::KINDS],
            ..Stats::default()
        };
        let counters = Counters {
            stats,
            repairs: most,
            undelivered: Some(most),
        };
        let (mut text, mut lines) = (String::new(), 0);
        report::each(&counters, Duration::MAX, |name, _| {
            let _ = writeln!(text, "{name} {most}");
            lines += 1;
        });
        assert!(
            lines > 30 && text.len() + OK.len() <= PIECE,
            "{}",
            text.len()
        );
        let peer = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        let line = format!("{peer} listener=15 seconds={most}.999 in={most} out={most}\n");
        assert!(line.len() <= LINE, "{}", line.len());
    }

    /// Keeps how many bytes each service of a connection consumed.
    struct Measured {
        control: Control,
        consumed: Vec<usize, 1024>,
    }

    impl Handler for Measured {
        type State = u32;

        fn readable(&mut self, conn: &mut Conn<'_>, next: &mut u32) {
            let before = conn.data().len();
            self.control.readable(conn, next);
            let consumed = before - conn.data().len();
            self.consumed.push(consumed).expect("few");
        }

        fn ended(&mut self, conn: &mut Conn<'_>, next: &mut u32) {
            self.readable(conn, next);
        }
    }

    #[test]
    fn lines_that_walk_the_table_are_served_one_at_a_time() {
        for interface in Interface::ALL {
            for (line, lines) in [("drop 10.9.9.9\n", 280), ("connections\n", 60)] {
                let mut memory = Memory::<4, 4096, 16384, u32>::new();
                let setup = Setup {
                    interface,
                    ..Setup::default()
                };
                let handler = Measured {
                    control: Control::new(Instant::now()),
                    consumed: Vec::new(),
                };
                let mut world = World::new(&mut memory, &setup, handler).expect("a world");
                let script = Script::new().send(line.repeat(lines).as_bytes()).finish();
                let operator = world.add(script);
                world.settle().expect("quiet");
                let replies = world.peer(operator).received();
                let ends = replies.split(|&byte| byte == b'\n');
                let ends =
                    ends.filter(|line| line.starts_with(b"ok") || line.starts_with(b"error"));
                assert_eq!(ends.count(), lines, "{interface:?}: {line}");
                let consumed = &world.handler().consumed;
                assert!(consumed.len() >= lines, "{interface:?}: {line}");
                assert!(consumed.iter().all(|&bytes| bytes <= line.len()));
            }
        }
    }
}
