//! [`replay`]: the driver of a replay.

use super::script::{Player, call_all};
use super::services::{Service, ServiceName};
use super::tape::{Divergence, Reel, Tape};
use tidegate_core::trace::{Detail, Entry, Input};
use tidegate_core::{
    AnyMemory, DatagramMemory, Dispatcher, Event, Instant, Op, Outcome, Session, Span, Token,
    Windows,
};

/// Bytes for the windows of all datagram sockets, in each direction.
const DATAGRAMS: usize = 256 * 1024;

/// The result of a replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// How many entries were the same.
    pub entries: usize,
    /// The first that was not.
    pub diverged: Option<Divergence>,
    /// Why it ended before the trace does, if it did not differ.
    pub stopped: Option<String>,
    /// The program's service whose handler was called; `None`: the calls were those of the trace.
    pub service: Option<&'static str>,
}

/// Replays a trace in this memory, up to the entry `until`, if there is one. `scripted`: the calls of the handler are
/// taken from the trace even if the handler is known.
///
/// # Errors
///
/// Why it cannot be replayed here, and what is needed.
pub fn replay(
    tape: &Tape,
    memory: &mut impl AnyMemory<State = u32>,
    until: Option<usize>,
    scripted: bool,
) -> Result<Replayed, String> {
    replay_seen(tape, memory, until, scripted, &mut |_, _| {})
}

/// The same; after each step `see` is called with its entries and the machine.
///
/// # Errors
///
/// As those of [`replay`].
pub fn replay_seen(
    tape: &Tape,
    memory: &mut impl AnyMemory<State = u32>,
    until: Option<usize>,
    scripted: bool,
    see: &mut dyn FnMut(&[Entry<'static>], &Dispatcher<'_>),
) -> Result<Replayed, String> {
    let Some(Entry::Start {
        config,
        windows,
        sources,
        timers,
    }) = tape.entries().first()
    else {
        return Err(
            "its beginning is missing: only what is recorded from the start can be replayed".into(),
        );
    };
    let name = tape.notes("service").next();
    let known = ServiceName::ALL
        .iter()
        .find(|(known, _)| Some(*known) == name);
    let known = known.filter(|_| !scripted && tape.is_whole());
    let reel = Reel::new(tape);
    let service = known.map(|(_, name)| {
        let beside: Vec<u32> = tape.notes("beside").flat_map(str::parse).collect();
        let mut service = Service::new(*name);
        beside
            .iter()
            .for_each(|listener| service.leave_out(*listener));
        (service, beside)
    });
    let player = Player {
        reel: reel.clone(),
        service,
    };
    let mut datagrams = Box::new(DatagramMemory::<DATAGRAMS, DATAGRAMS>::new());
    let session = Session::new(memory, config, player);
    let mut session = session.map_err(|error| format!("its configuration: {error}"))?;
    let own = session.machine().windows();
    if *windows != own {
        let Windows { receive, send } = *windows;
        return Err(format!(
            "it has windows of {receive} and {send} bytes, this memory of {} and {}",
            own.receive, own.send
        ));
    }
    let enough = session.restrict(*sources, *timers);
    enough.map_err(|few| {
        format!("it has {sources} sources and {timers} free timers; in this memory: {few}")
    })?;
    session.set_datagram_memory(&mut datagrams);
    let tap = reel.clone();
    session.record_to(Box::leak(Box::new(move |entry: &Entry<'_>| {
        tap.take(entry)
    })));
    let mut driver = Driver {
        session,
        reel: reel.clone(),
        now: Instant::ZERO,
    };
    see(&tape.entries()[..reel.at()], driver.session.machine());
    let mut stopped = None;
    while let Some(entry) = reel.next() {
        if until.is_some_and(|until| reel.at() >= until) {
            break;
        }
        let at = reel.at();
        if let Err(why) = driver.step(entry) {
            stopped = Some(why);
            break;
        }
        if reel.is_over() {
            stopped = Some(match reel.next() {
                Some(Entry::Lost(n)) => missing(n),
                _ => "the trace ends in the middle of what its last entry leads to".into(),
            });
        } else if reel.at() == at && reel.diverged().is_none() {
            reel.diverge("nothing".into());
        }
        see(&tape.entries()[at..reel.at()], driver.session.machine());
    }
    Ok(Replayed {
        entries: reel.at(),
        diverged: reel.diverged(),
        stopped,
        service: known.map(|(name, _)| *name),
    })
}

struct Driver<'m> {
    session: Session<'m, Player>,
    reel: Reel,
    /// The time to set next.
    now: Instant,
}

impl Driver<'_> {
    /// Does what led to this entry; what it leads to is compared on the way.
    fn step(&mut self, entry: Entry<'static>) -> Result<(), String> {
        match entry {
            Entry::Note(_) => self.reel.skip(),
            Entry::Time(passed) => self.time(passed),
            Entry::Event { event, kept, .. } => {
                self.deliver(event, kept);
                self.session.handle_event(self.now, event);
            }
            Entry::Iteration => self.session.handle_timeout(self.now),
            Entry::Output(_) => {
                let _ = self.session.poll_output(None);
            }
            Entry::Call(token, input, detail) => self.call(token, input, detail),
            Entry::Lost(n) => return Err(missing(n)),
            Entry::Start { .. }
            | Entry::End
            | Entry::Notified(_)
            | Entry::Again
            | Entry::Returned(_) => self.reel.diverge("nothing".into()),
        }
        Ok(())
    }

    /// The clock goes on with what comes next: the first call that sets the time records this entry.
    fn time(&mut self, passed: u64) {
        self.now = self.now.plus_nanos(passed);
        let _ = self.session.connections(self.now);
    }

    /// Puts what was received where the machine will read it.
    fn deliver(&mut self, event: Event, kept: &[u8]) {
        let Event::Done { token, op, outcome } = event else {
            return;
        };
        if let (Op::Recv, Outcome::Complete(n) | Outcome::Drained(n)) = (op, outcome)
            && let Some(Span { at, .. }) = self.session.machine().receiving(token)
        {
            let into = self.session.receive_into(token, Span { at, len: n });
            fill(into, kept);
        } else if let Outcome::Datagram { .. } = outcome {
            fill(self.session.datagram_into(token), kept);
        }
    }

    /// A call between iterations.
    fn call(&mut self, token: Token, input: Input, detail: Detail) {
        let session = &mut self.session;
        match (input, detail) {
            (
                Input::Listen {
                    limited,
                    per_source,
                },
                _,
            ) => {
                let _ = session.listen(limited.then_some(per_source));
            }
            (Input::SetPriority(priority), _) => session.set_priority(token, priority),
            (Input::LimitConnections(n), _) => session.limit_connections(token, n),
            (Input::ReserveSlots(slots), _) => session.reserve_slots(token, slots),
            (Input::Watch(directions), _) => {
                let _ = session.watch(directions);
            }
            // Refused for want of windows, of which the trace does not say how many there were: it changed nothing.
            (Input::AddDatagrams { .. }, _) if token == Token::NONE => self.reel.skip(),
            (Input::AddDatagrams { receive }, Detail::Number(send)) => {
                let _ = session.add_datagrams(receive, u32::try_from(send).unwrap_or(u32::MAX));
            }
            (Input::Stop, Detail::Number(by)) => session.stop(Instant::from_nanos(by)),
            (Input::With, _) => {
                let visited = session.with(token, |player, conn, _| player.play(conn));
                if visited.is_none() {
                    self.reel.diverge(format!("{token} cannot be borrowed"));
                }
            }
            _ => {
                let all = &mut session.connections(self.now);
                (self.reel).make_calls(|| call_all(&self.reel, all, token, input, detail));
            }
        }
    }
}

fn missing(entries: u64) -> String {
    format!("{entries} entries are missing here")
}

/// What is there of some bytes; the rest is zeros.
fn fill(into: &mut [u8], known: &[u8]) {
    let n = known.len().min(into.len());
    let (first, rest) = into.split_at_mut(n);
    first.copy_from_slice(&known[..n]);
    rest.fill(0);
}
