//! One path: what a handler sees and what the driver is asked to do depend neither on the trigger, nor on how full the
//! table is, nor on whether an operation completes inline or by an event.

use super::*;
use crate::event::Fault;
use crate::random::Random;
use alloc::format;

const LISTENER: Token = Token::new(crate::token::LISTENER_BIT, 1);

/// Echoes as a rule, and does other things now and then.
struct Whim(Random);

impl Handler for Whim {
    type State = u32;

    fn readable(&mut self, conn: &mut Conn<'_>, calls: &mut u32) {
        *calls += 1;
        match self.0.below(24) {
            0 => conn.finish(),
            1 => conn.abort(),
            2 => conn.pause(),
            3 => conn.consume(1),
            4 => drop(conn.send(&[7; TX])),
            5 => drop(conn.send_others(b"!")),
            6 => conn.consume(conn.data().len()),
            9 | 10 => {
                // The others' bytes take the scratch buffer that this one's reply was put into.
                echo(conn);
                conn.send_others(b"and to the others");
            }
            8 => {
                // More than fits: it waits for capacity, with nothing left to read.
                while conn.send(&[7; 8]).is_ok() {}
                conn.consume(conn.data().len());
            }
            7 => {
                conn.resume();
                echo(conn);
            }
            _ => echo(conn),
        }
    }
}

/// Draws what transfers come to, and notes what was sent.
struct Chance {
    random: Random,
    sent: Vec<(Token, Vec<u8>)>,
    transfers: u32,
    /// Each transfer moves what it can, eight bytes at most.
    steady: bool,
}

impl Chance {
    fn moved(&mut self, asked: usize) -> Result<u32, Option<Fault>> {
        self.transfers += 1;
        let asked = u32::try_from(asked).unwrap();
        if self.steady {
            return Ok(asked.min(8));
        }
        match self.random.below(24) {
            0 => Err(None),
            1 => Err(Some(Fault::Reset(104))),
            2 => Err(Some(Fault::Interrupted(4))),
            3 => Err(Some(Fault::Exhausted(105))),
            4 => Ok(asked),
            5 => Ok(asked / 2),
            _ => Ok(asked.min(8)),
        }
    }
}

impl Chance {
    fn receive(&mut self, into: &mut [u8]) -> Result<u32, Option<Fault>> {
        let moved = match self.random.below(64) {
            0 if !self.steady => Ok(0),
            _ => self.moved(into.len()),
        };
        if let Ok(n) = moved {
            for byte in &mut into[..n as usize] {
                *byte = u8::try_from(self.random.below(256)).unwrap();
            }
        }
        moved
    }

    fn send(&mut self, token: Token, from: &[u8]) -> Result<u32, Option<Fault>> {
        let moved = self.moved(from.len());
        let taken = moved.unwrap_or(0) as usize;
        self.sent.push((token, from[..taken].to_vec()));
        moved
    }
}

struct Twin<'m, H: Handler> {
    session: Session<'m, H>,
    chance: Chance,
    /// Operations complete inline; otherwise by an event.
    inline: bool,
    /// The actions of the driver.
    actions: Vec<Action>,
}

impl<'m, H: Handler> Twin<'m, H> {
    fn new<const N: usize>(
        memory: &'m mut Memory<N, RX, TX, H::State>,
        (seed, trigger, full): (u64, Trigger, FullTable),
        handler: H,
        inline: bool,
    ) -> Self {
        let config = Config {
            trigger,
            full,
            quantum: 512,
            iteration_bytes: 1024,
            ..Config::default()
        };
        let mut session = Session::new(memory, &config, handler).unwrap();
        session.listen(None).unwrap();
        Self {
            session,
            chance: Chance {
                random: Random::new(seed),
                sent: Vec::new(),
                transfers: 0,
                steady: false,
            },
            inline,
            actions: Vec::new(),
        }
    }

    /// Performs everything that there is to do.
    fn rest_of_turn(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        let mut completed = None;
        while let Some(action) = self.session.poll_output(completed.take()) {
            self.actions.push(action);
            let outcome = match action {
                Action::Recv { token, into } => {
                    let bytes = self.session.receive_into(token, into);
                    Completion::of_receive(self.chance.receive(bytes), into.len).into()
                }
                Action::Send { token, from } => {
                    let moved = self.chance.send(token, self.session.send_from(token, from));
                    Completion::of_send(moved, from.len).into()
                }
                Action::Accept { .. } => {
                    let address = (!self.chance.random.one_in(4))
                        .then(|| SocketAddr::from(([192, 0, 2, 1], 7)));
                    Outcome::Accepted(address)
                }
                Action::Unsent { .. } => Outcome::Complete(5),
                Action::Connect { .. } | Action::Shutdown { .. } | Action::Close { .. } => {
                    Outcome::Complete(0)
                }
                Action::Arm { .. }
                | Action::Cancel { .. }
                | Action::Rebuild
                | Action::Refuse { .. }
                | Action::ReceiveFrom { .. }
                | Action::SendTo { .. } => continue,
            };
            completed = outcome.completion().filter(|_| self.inline);
            if completed.is_none() {
                let (token, op) = action.operation().unwrap();
                self.session
                    .handle_event(now, Event::Done { token, op, outcome });
            }
        }
    }

    /// All its state, and its results.
    fn image(&self) -> String
    where
        H::State: core::fmt::Debug,
    {
        let machine = self.session.machine();
        let stats = machine.stats();
        let sources: Vec<_> = (0..machine.slots.used())
            .map(|index| (machine.slots.at(index), machine.records.at(index)))
            .collect();
        let states = &self.session.states;
        let next = machine.poll_timeout();
        let (sent, actions) = (&self.chance.sent, &self.actions);
        format!("{sources:?}\n{stats:?}\n{states:?}\n{next:?}\n{sent:?}\n{actions:?}")
    }
}

const TRIGGERS: [Trigger; 3] = [Trigger::Level, Trigger::Edge, Trigger::Oneshot];
const POLICIES: [FullTable; 4] = [
    FullTable::Wait,
    FullTable::Refuse,
    FullTable::Evict,
    FullTable::EvictHalfClosed,
];

/// A random story for a session whose operations complete inline, and one whose operations complete by events. Returns
/// how many transfers there were.
fn twins<const N: usize>(seed: u64, trigger: Trigger, full: FullTable) -> u32 {
    let (mut memory, mut other) = (
        Memory::<N, RX, TX, u32>::new(),
        Memory::<N, RX, TX, u32>::new(),
    );
    let whim = || Whim(Random::new(seed));
    let mut by_event = Twin::new(&mut memory, (seed, trigger, full), whim(), false);
    let mut inline = Twin::new(&mut other, (seed, trigger, full), whim(), true);
    let mut story = Random::new(seed ^ 0xa5a5);
    let mut now = Instant::from_nanos(1_000_000_000);
    for step in 0..120 {
        now = now.plus(Duration::from_millis(story.length(3000).into()));
        let mut tokens: Vec<_> = by_event.session.machine().connections().collect();
        // A poll reports each source once.
        for _ in 0..=story.below(2) {
            let token = match tokens.len() {
                0 => LISTENER,
                _ if story.one_in(8) => LISTENER,
                n => tokens.swap_remove(story.below(u32::try_from(n).unwrap()) as usize),
            };
            let event = Event::Ready {
                token,
                directions: Directions::READ | Directions::WRITE.when(story.one_in(4)),
                closing: story.one_in(12),
            };
            by_event.session.handle_event(now, event);
            inline.session.handle_event(now, event);
        }
        by_event.rest_of_turn(now);
        inline.rest_of_turn(now);
        assert_eq!(
            by_event.image(),
            inline.image(),
            "seed {seed}, step {step}, {N} slots, {trigger:?}, {full:?}"
        );
    }
    inline.chance.transfers
}

#[test]
fn an_operation_completes_inline_as_by_an_event() {
    for trigger in TRIGGERS {
        for full in POLICIES {
            let mut transfers = 0;
            for seed in 0..4 {
                transfers += twins::<1>(seed, trigger, full);
                transfers += twins::<2>(seed, trigger, full);
                transfers += twins::<3>(seed, trigger, full);
                transfers += twins::<4>(seed, trigger, full);
                transfers += twins::<16>(seed, trigger, full);
            }
            assert!(
                transfers > 500,
                "{trigger:?}, {full:?}: {transfers} transfers"
            );
        }
    }
}

/// A handler that sets its timer again whenever bytes come.
struct Watchdog(Vec<&'static str>);

impl Handler for Watchdog {
    type State = u32;

    fn opened(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        conn.set_timer(Duration::from_secs(1));
    }

    fn readable(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        self.0.push("readable");
        conn.consume(conn.data().len());
        conn.set_timer(Duration::from_secs(1));
    }

    fn timer(&mut self, _: &mut Conn<'_>, _: &mut u32) {
        self.0.push("timer");
    }
}

/// What the handler sees when a timer is due and bytes come at the same poll, with so many connections in a table of `N`.
fn timer_and_bytes<const N: usize>(
    trigger: Trigger,
    connections: usize,
    full: FullTable,
) -> Vec<&'static str> {
    let mut memory = Memory::<N, RX, TX, u32>::new();
    let of = (1, trigger, full);
    let mut twin = Twin::new(&mut memory, of, Watchdog(Vec::new()), true);
    twin.chance.steady = true;
    let mut now = Instant::from_nanos(1_000_000_000);
    let ready = |token, directions| Event::Ready {
        token,
        directions,
        closing: false,
    };
    twin.rest_of_turn(now);
    // The last report finds the table full if as many connections as slots are wanted.
    for _ in 0..=connections {
        if twin.session.machine().connections().count() < connections || connections == N {
            twin.session
                .handle_event(now, ready(LISTENER, Directions::READ));
            twin.rest_of_turn(now);
        }
    }
    let first = twin.session.machine().connections().next().unwrap();
    now = now.plus(Duration::from_secs(1));
    twin.session.handler_mut().0.clear();
    twin.session
        .handle_event(now, ready(first, Directions::READ));
    twin.rest_of_turn(now);
    core::mem::take(&mut twin.session.handler_mut().0)
}

#[test]
fn a_timer_that_is_due_comes_before_bytes_that_come_at_the_same_poll() {
    for trigger in TRIGGERS {
        for full in POLICIES {
            for (slots, connections, order) in [
                (1, 1, timer_and_bytes::<1>(trigger, 1, full)),
                (2, 1, timer_and_bytes::<2>(trigger, 1, full)),
                (2, 2, timer_and_bytes::<2>(trigger, 2, full)),
                (4, 3, timer_and_bytes::<4>(trigger, 3, full)),
                (4, 4, timer_and_bytes::<4>(trigger, 4, full)),
                (16, 4, timer_and_bytes::<16>(trigger, 4, full)),
            ] {
                let timers = order.iter().take_while(|what| **what == "timer").count();
                let rest = &order[timers..];
                assert!(
                    timers >= 1 && rest.iter().all(|what| *what == "readable") && !rest.is_empty(),
                    "{connections} of {slots} slots, {trigger:?}, {full:?}: {order:?}"
                );
            }
        }
    }
}
