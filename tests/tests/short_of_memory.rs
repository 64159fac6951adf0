//! Where the kernel has used up its memory for TCP it notifies that sockets are writable and lets every send block. Nothing
//! spins then, whatever the trigger; what could not be sent is sent when there is memory again, though no notification
//! says so; and deadlines pass as ever.

use core::time::Duration;
use tidegate_core::{Class, Config, Conn, Handler, Memory, Reason, Trigger};
use tidegate_sim::{Call, Faults, Interface, Script, Setup, World};

struct Echo;

impl Handler for Echo {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let n = data.len().min(conn.capacity());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

const TRIGGERS: [Trigger; 3] = [Trigger::Level, Trigger::Edge, Trigger::Oneshot];

fn setup(trigger: Trigger, config: Config) -> Setup {
    Setup {
        interface: Interface::Readiness(trigger),
        faults: Faults::none().noting(),
        config,
        ..Setup::default()
    }
}

fn sends<H: Handler>(world: &World<'_, H>) -> usize {
    let calls = world.kernel().faults.noted().iter();
    calls.filter(|call| **call == Call::Send).count()
}

#[test]
fn nothing_spins_and_everything_is_sent_in_the_end() {
    for trigger in TRIGGERS {
        let mut memory = Memory::<4, 64, 64>::new();
        let setup = setup(trigger, Config::default());
        let mut world = World::new(&mut memory, &setup, Echo).expect("a setup");
        let second = Duration::from_secs(1);
        let script = || Script::new().wait(second).send(b"hello").wait(29 * second);
        let peers = [(); 3].map(|()| world.add(script().finish()));
        world.run_for(second / 2).expect("no law is broken");
        world.set_short_of_memory(true);
        world.run_for(10 * second).expect("no law is broken");
        let tried = sends(&world);
        // Two or three at once, then after 20, 80 and 320 ms, then every 640 ms.
        assert!(
            (3 * 10..3 * 22).contains(&tried),
            "{trigger:?}: {tried} sends"
        );
        for id in peers {
            assert_eq!(world.peer(id).received(), b"", "{trigger:?}");
        }
        world.set_short_of_memory(false);
        world.run_for(second).expect("no law is broken");
        for id in peers {
            assert_eq!(world.peer(id).received(), b"hello", "{trigger:?}");
        }
        assert_eq!(sends(&world), tried + 3, "{trigger:?}: one each");
    }
}

/// The other direction is not delayed: what comes is received, as far as there is capacity for the reply.
#[test]
fn receiving_goes_on() {
    for trigger in TRIGGERS {
        let mut memory = Memory::<1, 64, 64>::new();
        let setup = setup(trigger, Config::default());
        let mut world = World::new(&mut memory, &setup, Echo).expect("a setup");
        let tenth = Duration::from_millis(100);
        let mut script = Script::new();
        for _ in 0..9 {
            script = script.wait(tenth).send(b"hello");
        }
        world.add(script);
        world.set_short_of_memory(true);
        world.run_for(10 * tenth).expect("no law is broken");
        assert_eq!(world.stats().bytes_in, 45, "{trigger:?}");
    }
}

#[test]
fn output_that_cannot_be_sent_for_too_long_ends_its_connection() {
    for trigger in TRIGGERS {
        let mut memory = Memory::<1, 64, 64>::new();
        let setup = setup(trigger, Config::default());
        let mut world = World::new(&mut memory, &setup, Echo).expect("a setup");
        world.add(Script::new().send(b"hello"));
        world.set_short_of_memory(true);
        world
            .run_for(Duration::from_secs(29))
            .expect("no law is broken");
        assert_eq!(world.stats().open, 1, "{trigger:?}");
        world
            .run_for(Duration::from_secs(35))
            .expect("no law is broken");
        let stats = world.stats();
        let ended = stats.closed_by(Reason::Deadline(Class::Congestion))
            + stats.closed_by(Reason::Deadline(Class::WriteStall));
        assert_eq!(ended, 1, "{trigger:?}");
    }
}
