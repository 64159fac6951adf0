//! Input that a handler holds until it has the capacity for its reply is not a message that is too long: it is shown
//! again when the output is gone, at every size of the windows and with every kernel interface. Only what a handler
//! does not take with the whole send window free, and waiting for nothing, ends its connection.

use core::time::Duration;
use tidegate_core::{Config, Conn, FullTable, Handler, Memory, Reason};
use tidegate_sim::{End, Faults, Interface, Limits, PeerId, Script, Setup, World};

/// Requests of `REQUEST` bytes, each replied to with `answer` bytes; it reserves capacity first and never tries without
/// it.
struct Careful {
    answer: usize,
}

const REQUEST: usize = 16;

impl Handler for Careful {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        while let Some(request) = conn.data().first_chunk::<REQUEST>() {
            if conn.capacity() < self.answer {
                return;
            }
            let answer = [request[0]].repeat(self.answer);
            conn.send(&answer).expect("it has asked");
            conn.consume(REQUEST);
        }
    }
}

fn setup(seed: u64, interface: Interface) -> Setup {
    Setup {
        seed,
        interface,
        config: Config {
            full: FullTable::Wait,
            ..Config::default()
        },
        // Little lies in the kernel, so that capacity is short.
        limits: Limits {
            tcp_buffer: 700,
            tcp_window: 300,
            ..Limits::default()
        },
        faults: Faults::swarm(seed, 10, false),
        ..Setup::default()
    }
}

fn requests(count: u8) -> Vec<u8> {
    (0..count).flat_map(|number| [number; REQUEST]).collect()
}

fn answers(count: u8, answer: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|number| [number].repeat(answer))
        .collect()
}

/// Peers that send all requests at once: one sends FIN right behind them, one waits for the replies, one stalls for a
/// while.
fn peers<const RX: usize, const TX: usize>(answer: usize) {
    for interface in Interface::ALL {
        for seed in 0..8 {
            let mut memory = Memory::<4, RX, TX>::new();
            let setup = setup(seed, interface);
            let mut world = World::new(&mut memory, &setup, Careful { answer }).expect("a setup");
            let (all, expected) = (requests(100), answers(100, answer));
            let peers: [PeerId; 3] = [
                Script::new().send(&all).finish(),
                Script::new().send(&all).expect(expected.len()).finish(),
                (Script::new().stall().send(&all[..20 * REQUEST]))
                    .wait(Duration::from_secs(5))
                    .resume()
                    .send(&all[20 * REQUEST..])
                    .expect(expected.len())
                    .finish(),
            ]
            .map(|script| world.add(script));
            world
                .run_for(Duration::from_secs(100))
                .expect("no law is broken");
            for id in peers {
                let peer = world.peer(id);
                let what = format!("{interface:?}, {RX}/{TX}, {answer} bytes, seed {seed}, {id:?}");
                assert_eq!(peer.received().len(), expected.len(), "{what}");
                assert_eq!(peer.received(), expected, "{what}");
                assert_eq!(peer.end(), End::Finished, "{what}");
            }
            assert_eq!(world.stats().closed_by(Reason::TooLong), 0);
        }
    }
}

#[test]
fn a_handler_that_reserves_capacity_first_replies_to_everything() {
    peers::<16, 64>(64);
    peers::<16, 64>(33);
    peers::<64, 64>(64);
    peers::<64, 100>(51);
    peers::<256, 64>(64);
    peers::<256, 1024>(1000);
    peers::<1024, 64>(40);
    peers::<1024, 4096>(300);
    peers::<4096, 4096>(4096);
}

/// Takes nothing.
struct Deaf;

impl Handler for Deaf {
    type State = ();

    fn readable(&mut self, _: &mut Conn<'_>, (): &mut ()) {}
}

#[test]
fn what_is_not_taken_with_everything_free_is_too_long() {
    for interface in Interface::ALL {
        let mut memory = Memory::<1, 64, 64>::new();
        let setup = setup(1, interface);
        let mut world = World::new(&mut memory, &setup, Deaf).expect("a setup");
        world.add(Script::new().send(&[7; 65]));
        world
            .run_for(Duration::from_secs(1))
            .expect("no law is broken");
        assert_eq!(world.stats().closed_by(Reason::TooLong), 1, "{interface:?}");
    }
}

/// Replies to the first byte with a full send window, and takes nothing after that.
struct Greets;

impl Handler for Greets {
    type State = bool;

    fn readable(&mut self, conn: &mut Conn<'_>, greeted: &mut bool) {
        if !*greeted {
            *greeted = true;
            conn.send(&[1; 60]).expect("capacity");
            conn.consume(1);
        }
    }
}

/// It is notified again once its output is gone, takes nothing, and that is the end: no connection stands for ever.
#[test]
fn what_is_not_taken_after_the_output_is_gone_is_too_long() {
    for interface in Interface::ALL {
        for stall in [0, 5] {
            let mut memory = Memory::<1, 64, 64, bool>::new();
            let setup = Setup {
                limits: Limits {
                    tcp_buffer: 40,
                    tcp_window: 20,
                    ..Limits::default()
                },
                ..setup(2, interface)
            };
            let mut world = World::new(&mut memory, &setup, Greets).expect("a setup");
            let id = world.add(
                (Script::new().stall())
                    .send(&[7; 100])
                    .wait(Duration::from_secs(stall))
                    .resume(),
            );
            world
                .run_for(Duration::from_secs(20))
                .expect("no law is broken");
            let what = format!("{interface:?}, {stall} s");
            assert_eq!(world.peer(id).received(), [1; 60], "{what}");
            assert_eq!(world.stats().closed_by(Reason::TooLong), 1, "{what}");
        }
    }
}
