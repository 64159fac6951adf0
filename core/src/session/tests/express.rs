//! The express lane decides nothing else than the four verbs would: two sessions with the same story, one of them told
//! of reports by `handle_ready`, never differ.

use super::*;
use crate::event::{FaultKind, Transfer};
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
                // The others' bytes take the area that this one's answer was put into.
                echo(conn);
                conn.send_others(b"and to the others");
            }
            8 => {
                // More than fits: it waits for room, with nothing left to read.
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
}

impl Chance {
    fn moved(&mut self, asked: usize) -> Transfer {
        self.transfers += 1;
        let asked = u32::try_from(asked).unwrap();
        match self.random.below(24) {
            0 => Err(None),
            1 => Err(Some(FaultKind::Reset.with_code(104))),
            2 => Err(Some(FaultKind::Interrupted.with_code(4))),
            3 => Err(Some(FaultKind::Shortage.with_code(105))),
            4 => Ok(asked),
            5 => Ok(asked / 2),
            _ => Ok(asked.min(8)),
        }
    }
}

impl Transfers for Chance {
    fn receive(&mut self, _: Token, into: &mut [u8]) -> Transfer {
        let moved = match self.random.below(64) {
            0 => Ok(0),
            _ => self.moved(into.len()),
        };
        if let Ok(n) = moved {
            for byte in &mut into[..n as usize] {
                *byte = u8::try_from(self.random.below(256)).unwrap();
            }
        }
        moved
    }

    fn send(&mut self, token: Token, from: &[u8]) -> Transfer {
        let moved = self.moved(from.len());
        let taken = moved.unwrap_or(0) as usize;
        self.sent.push((token, from[..taken].to_vec()));
        moved
    }
}

struct Twin<'m> {
    session: Session<'m, Whim>,
    chance: Chance,
    actions: u32,
}

impl<'m> Twin<'m> {
    fn new(memory: &'m mut Memory<3, RX, TX, u32>, seed: u64, trigger: Trigger) -> Self {
        let config = Config {
            trigger,
            quantum: 512,
            look: 1024,
            ..Config::default()
        };
        let mut session = Session::new(memory, &config, Whim(Random::new(seed))).unwrap();
        session.listen(None).unwrap();
        Self {
            session,
            chance: Chance {
                random: Random::new(seed),
                sent: Vec::new(),
                transfers: 0,
            },
            actions: 0,
        }
    }

    /// Carries everything out that there is to do.
    fn rest_of_turn(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        while let Some(action) = self.session.poll_output() {
            self.actions += 1;
            let (token, op, outcome) = match action {
                Action::Recv { token, into } => {
                    let bytes = self.session.receive_into(token, into);
                    let moved = self.chance.receive(token, bytes);
                    (token, Op::Recv, Outcome::of_receive(moved, into.len))
                }
                Action::Send { token, from } => {
                    let moved = self.chance.send(token, self.session.send_from(token, from));
                    (token, Op::Send, Outcome::of_send(moved, from.len))
                }
                Action::Accept { token, .. } => {
                    let address = (!self.chance.random.one_in(4))
                        .then(|| SocketAddr::from(([192, 0, 2, 1], 7)));
                    (token, Op::Accept, Outcome::Accepted(address))
                }
                Action::Connect { token } => (token, Op::Connect, Outcome::Complete(0)),
                Action::Shutdown { token } => (token, Op::Shutdown, Outcome::Complete(0)),
                Action::Unsent { token } => (token, Op::Unsent, Outcome::Complete(5)),
                Action::Close { token, .. } => (token, Op::Close, Outcome::Complete(0)),
                Action::Arm { .. }
                | Action::Cancel { .. }
                | Action::Rebuild
                | Action::Refuse { .. }
                | Action::ReceiveFrom { .. }
                | Action::SendTo { .. } => continue,
            };
            self.session
                .handle_event(now, Event::Done { token, op, outcome });
        }
    }

    /// All that it holds, and all that came of it.
    fn image(&self) -> String {
        let machine = self.session.machine();
        let mut stats = machine.stats().clone();
        // The lane has no queue.
        stats.worst_queue = 0;
        let sources: Vec<_> = (0..machine.slots.used())
            .map(|index| (machine.slots.at(index), machine.records.at(index)))
            .collect();
        let states = &self.session.states;
        let next = machine.poll_timeout();
        let sent = &self.chance.sent;
        format!("{sources:?}\n{stats:?}\n{states:?}\n{next:?}\n{sent:?}")
    }
}

#[test]
fn what_is_served_on_the_spot_ends_as_what_is_served_in_its_turn() {
    let (mut transfers, mut sends) = (0, 0);
    let triggers = [Trigger::Level, Trigger::Edge, Trigger::Oneshot];
    for (seed, trigger) in (0..300).zip(triggers.into_iter().cycle()) {
        let (mut memory, mut other) = (Memory::new(), Memory::new());
        let mut turn = Twin::new(&mut memory, seed, trigger);
        let mut spot = Twin::new(&mut other, seed, trigger);
        let mut story = Random::new(seed ^ 0xa5a5);
        let mut now = Instant::from_nanos(1_000_000_000);
        for step in 0..120 {
            now = now.plus(Duration::from_millis(story.length(3000).into()));
            let mut tokens: Vec<_> = turn.session.machine().connections().collect();
            // A look tells of each source once.
            for _ in 0..=story.below(2) {
                let token = match tokens.len() {
                    0 => LISTENER,
                    _ if story.one_in(8) => LISTENER,
                    n => tokens.swap_remove(story.below(u32::try_from(n).unwrap()) as usize),
                };
                let directions = Directions::READ | Directions::WRITE.when(story.one_in(4));
                let closing = story.one_in(12);
                let event = Event::Ready {
                    token,
                    directions,
                    closing,
                };
                turn.session.handle_event(now, event);
                let before = (spot.chance.transfers, spot.chance.sent.len());
                spot.session
                    .handle_ready(now, token, directions, closing, &mut spot.chance);
                transfers += spot.chance.transfers - before.0;
                sends += spot.chance.sent.len() - before.1;
                let served = spot.chance.transfers > before.0;
                if served && spot.session.poll_timeout() <= Some(now) {
                    // It gave others work, who come before the next report here, and after it there.
                    break;
                }
            }
            turn.rest_of_turn(now);
            spot.rest_of_turn(now);
            assert_eq!(
                turn.image(),
                spot.image(),
                "seed {seed}, step {step}, {trigger:?}"
            );
        }
    }
    assert!(
        transfers > 1_000 && sends > 300,
        "the lane was taken: {transfers} transfers on the spot, {sends} of them sends"
    );
}
