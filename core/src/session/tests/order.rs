//! Bytes in order, none lost, none twice, none of another connection: whatever the driver, whatever the order of its
//! completions.

use super::*;
use crate::readiness::Trigger;
use std::println;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % n as u64).expect("below n")
    }
}

const PEERS: usize = 4;
const BYTES: usize = 400;

/// What a peer sends: no two send the same, and no position looks like another.
fn speech(who: usize) -> Vec<u8> {
    let bytes = (0..BYTES).map(|at| (at * 7 + at / 64 + who * 61) % 251);
    bytes.map(|n| u8::try_from(n).expect("below 251")).collect()
}

/// An operation that was issued and has not completed.
struct Pending {
    action: Action,
    /// Of a send: what its span held when it was issued.
    bytes: Vec<u8>,
    /// And where they lay.
    lay: *const u8,
    /// Of a receive that was performed at once: the completion that is kept back.
    kept: Option<Event>,
}

/// A driver that performs operations when it likes, and completes them in any order.
struct Late {
    pending: Vec<Pending>,
    random: Random,
}

impl Late {
    fn hand_over(&mut self, world: &mut World, action: Action) {
        let mut pending = Pending {
            action,
            bytes: Vec::new(),
            lay: core::ptr::null(),
            kept: None,
        };
        match action {
            Action::Arm { .. } | Action::Cancel { .. } | Action::Rebuild => return,
            Action::Send { token, from } => {
                let bytes = world.session.send_from(token, from);
                (pending.bytes, pending.lay) = (bytes.to_vec(), bytes.as_ptr());
            }
            Action::Recv { .. } if self.random.below(2) == 0 => {
                pending.kept = world.carry_out(action);
            }
            Action::Recv { .. }
            | Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. }
            | Action::Close { .. } => {}
        }
        self.pending.push(pending);
    }

    fn answer_one(&mut self, world: &mut World) {
        if self.pending.is_empty() {
            return;
        }
        let which = self.random.below(self.pending.len());
        let Pending {
            action,
            bytes,
            lay,
            kept,
        } = self.pending.swap_remove(which);
        if let Action::Send { token, from } = action {
            let now = world.session.send_from(token, from);
            assert_eq!(
                (now, now.as_ptr()),
                (&*bytes, lay),
                "law 2: a span was moved"
            );
        }
        let done = kept.or_else(|| world.carry_out(action));
        world.event(done.expect("what is kept is answered"));
    }
}

/// Peers that send all of their speech, receive in bits, and finish; until all are gone.
fn talk(world: &mut World, random: &mut Random, mut step: impl FnMut(&mut World)) {
    let speeches: Vec<Vec<u8>> = (0..PEERS).map(speech).collect();
    let mut said = [0; PEERS];
    for _ in 0..40_000 {
        let who = random.below(PEERS);
        let token = world.token(who);
        let (chunk, takes) = (1 + random.below(20), random.below(30));
        let far = &mut world.fars[who];
        far.chunk = chunk;
        match random.below(3) {
            0 if said[who] < BYTES => {
                let n = (1 + random.below(40)).min(BYTES - said[who]);
                far.says.extend(&speeches[who][said[who]..said[who] + n]);
                said[who] += n;
                world.ready(token, Directions::READ);
            }
            0 => {
                far.finished = true;
                world.event(Event::Ready {
                    token,
                    directions: Directions::READ,
                    closing: true,
                });
            }
            1 => {
                far.takes = far.takes.saturating_add(takes);
                world.ready(token, Directions::WRITE);
            }
            _ => {}
        }
        // What was spurious twice rests for a while.
        world.now = world.now.plus(Duration::from_micros(100));
        step(world);
        laws::assert_laws(world.session.machine());
        if world.fars.iter().all(|far| far.gone) {
            break;
        }
    }
    for (who, far) in world.fars.iter().enumerate() {
        assert!(
            far.gone,
            "{who} is not done: {} of {BYTES}",
            far.heard.len()
        );
        assert_eq!(far.heard, speeches[who], "{who}");
    }
    let infos = world.app().infos.clone();
    assert!(
        infos
            .iter()
            .all(|(_, reason)| *reason == Reason::PeerFinished),
        "{infos:?}"
    );
}

fn world(trigger: Trigger, quantum: u32) -> World {
    let mut world = World::with_config::<PEERS>(
        App::echo(),
        &Config {
            trigger,
            quantum,
            ..Config::default()
        },
    );
    for _ in 0..PEERS {
        let who = world.connect();
        world.fars[who].takes = 0;
    }
    world
}

#[test]
fn every_byte_comes_back_in_order_from_a_driver_that_completes_at_once() {
    for seed in 0..30 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let trigger = [Trigger::Level, Trigger::Edge, Trigger::Oneshot][random.below(3)];
        let mut world = world(trigger, [256, 1024, 16384][random.below(3)]);
        talk(&mut world, &mut random, World::run);
    }
}

#[test]
fn every_byte_comes_back_in_order_from_a_driver_that_completes_later_in_any_order() {
    for seed in 0..30 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut world = world(Trigger::Edge, 16384);
        let mut late = Late {
            pending: Vec::new(),
            random: Random(!seed),
        };
        talk(&mut world, &mut random, |world| {
            world.session.handle_timeout(world.now);
            while let Some(action) = world.session.poll_output(None) {
                late.hand_over(world, action);
                if late.random.below(3) == 0 {
                    late.answer_one(world);
                }
            }
            late.answer_one(world);
        });
    }
}

/// Each sends all at once to all: what is refused is refused whole.
#[test]
fn lines_for_others_arrive_whole_and_in_order_or_not_at_all() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut world = World::new::<PEERS>(App {
            readable: |_, conn, _| {
                while let Some(line) = conn.data().get(..4) {
                    conn.send_others(line);
                    conn.consume(4);
                }
            },
            ..App::echo()
        });
        for _ in 0..PEERS {
            let who = world.connect();
            world.fars[who].takes = 0;
        }
        let mut lines = [0u8; PEERS];
        for _ in 0..200 {
            let who = random.below(PEERS);
            let mark = u8::try_from(who).expect("few");
            let line = [b'<', mark, lines[who], b'>'];
            lines[who] += 1;
            let (first, second) = line.split_at(random.below(5));
            world.says(who, first);
            world.takes(random.below(PEERS), random.below(20));
            world.says(who, second);
        }
        world.later(Duration::from_secs(1));
        for who in 0..PEERS {
            world.takes(who, usize::MAX);
            let mut last = [None; PEERS];
            for line in world.fars[who].heard.chunks(4) {
                let &[b'<', from, number, b'>'] = line else {
                    panic!("{who} heard {line:?}");
                };
                let from = usize::from(from);
                assert!(
                    from != who && last[from] < Some(number),
                    "{who} heard {line:?}"
                );
                last[from] = Some(number);
            }
        }
    }
}
