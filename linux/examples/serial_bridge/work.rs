//! What is done to the line itself, between two calls of the loop: a handler has connections, not descriptors.

use super::bridge::Bridge;
use super::rfc2217::Reply;
use core::time::Duration;
use tidegate::{Counts, Errno, Error, Ignored, Line, Modem, Serial, Server};

/// An operation on the line, and the reply to a telnet client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) done: Option<Reply>,
    pub(crate) failed: Option<Reply>,
}

impl Job {
    /// A job without a waiting client, unless the work itself has one.
    pub(crate) const fn new(work: Work) -> Self {
        Self {
            work,
            done: None,
            failed: None,
        }
    }

    /// Whether it clears the line of a client that is gone.
    pub(crate) const fn clears(&self) -> bool {
        let sets = matches!(
            self.work,
            Work::Set(_) | Work::Dtr(_) | Work::Rts(_) | Work::Purge { .. }
        );
        sets && self.done.is_none()
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Set(Serial<'static>),
    Dtr(bool),
    Rts(bool),
    Break(bool),
    Purge {
        input: bool,
        output: bool,
    },
    /// Throw away what was written, if it is still not on the line.
    PurgeStale,
    /// See whether all that the kernel was given is on the line, so that a client that has ended can go.
    Rest,
    /// Read the modem lines and the error counters; `now`: the client has asked, and waits.
    Poll {
        now: bool,
    },
}

/// One iteration of the loop, and one job: a driver may take milliseconds for it.
pub(crate) fn iterate(
    server: &mut Server<'_, Bridge>,
    longest: Option<Duration>,
) -> Result<(), Error> {
    let more = !server.session().handler().jobs.is_empty();
    server.turn(more.then_some(Duration::ZERO).or(longest))?;
    let bridge = server.handler_mut();
    let (job, line) = (bridge.jobs.pop_front(), bridge.line);
    let Some(job) = job else { return Ok(()) };
    let line = line.and_then(|line| server.line(line));
    let done = line.map(|line| work(&line, job.work));
    let bridge = server.handler_mut();
    let mut bytes = Vec::new();
    let client = bridge.port().map(|(token, _)| token);
    match done {
        Some(Done::Unsent(unsent)) => {
            if let Some(client) = bridge.ended_client() {
                let mut session = server.session_mut();
                session.with(client, |bridge, conn, ()| bridge.rest(conn, unsent));
            }
            return Ok(());
        }
        Some(Done::Seen(modem, counts)) => {
            let now = matches!(job.work, Work::Poll { now: true });
            if let Some((_, port)) = bridge.port() {
                bytes = port.poll(modem, counts, now);
            }
        }
        Some(Done::Well(ignored)) => {
            if let Work::Set(set) = job.work {
                bridge.set = set;
            }
            for name in ignored.names() {
                bridge.say(&format_args!(
                    "warning: the driver ignores this setting: {name}"
                ));
            }
            bytes = job.done.map_or_else(Vec::new, Reply::bytes);
        }
        Some(Done::Failed(why)) => {
            if let Some(why) = why {
                bridge.say(&why);
            }
            bytes = job.failed.map_or_else(Vec::new, Reply::bytes);
        }
        None => bytes = job.failed.map_or_else(Vec::new, Reply::bytes),
    }
    if job.clears() && !bridge.is_clearing() {
        if let Some(client) = bridge.client() {
            let mut session = server.session_mut();
            session.with(client, |bridge, conn, ()| bridge.go_on(conn));
        }
        return Ok(());
    }
    let waited = job.done.is_some() || matches!(job.work, Work::Poll { now: true });
    if let Some(client) = client {
        server.session_mut().with(client, |bridge, conn, ()| {
            bridge.reply(conn, &bytes, waited)
        });
    }
    Ok(())
}

/// The result.
enum Done {
    Well(Ignored),
    Seen(Modem, Counts),
    /// Something is not on the line yet.
    Unsent(bool),
    /// The error, unless the hardware lacks it.
    Failed(Option<String>),
}

fn work(line: &Line<'_>, work: Work) -> Done {
    let done = match work {
        Work::Set(serial) => {
            return match line.set(&serial) {
                Ok(ignored) => Done::Well(ignored),
                Err(why) => Done::Failed(Some(why.to_string())),
            };
        }
        Work::Poll { .. } => return poll(line),
        Work::Rest => return Done::Unsent(line.unsent().is_ok_and(|bytes| bytes > 0)),
        Work::Dtr(on) => line.set_dtr(on),
        Work::Rts(on) => line.set_rts(on),
        Work::Break(on) => line.set_break(on),
        Work::Purge { input, output } => line.purge(input, output),
        Work::PurgeStale => match line.unsent() {
            Ok(1..) => line.purge(false, true),
            Ok(0) | Err(_) => Ok(()),
        },
    };
    match done {
        Ok(()) => Done::Well(Ignored::NONE),
        // A pseudo-terminal has no wires.
        Err(why) if matches!(why.errno(), Some(Errno::NOTTY | Errno::INVAL)) => Done::Failed(None),
        Err(why) => Done::Failed(Some(why.to_string())),
    }
}

/// Missing wires count as on: otherwise a wait for them would never end.
fn poll(line: &Line<'_>) -> Done {
    let modem = line.modem().unwrap_or(Modem {
        cts: true,
        dsr: true,
        cd: true,
        ..Modem::default()
    });
    Done::Seen(modem, line.counts().unwrap_or_default())
}
