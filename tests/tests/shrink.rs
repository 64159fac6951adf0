//! A failing scene is reduced to at most twenty steps, and printed as a test that fails the same way.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use tidegate_core::{Config, Conn, Handler, Memory, Trigger};
use tidegate_sim::{End, Faults, Interface, Limits, Random, Scene, Script, Setup};

/// An echo that loses the 300th byte of each connection.
struct Forgetful;

impl Handler for Forgetful {
    type State = usize;
    fn readable(&mut self, conn: &mut Conn<'_>, seen: &mut usize) {
        let data = conn.data();
        let n = data.len().min(conn.capacity());
        let mut answer = data[..n].to_vec();
        let lost = (299 >= *seen && 299 < *seen + n).then(|| 299 - *seen);
        lost.map(|at| answer.remove(at));
        if conn.send(&answer).is_ok() {
            conn.consume(n);
            *seen += n;
        }
    }
}

/// A handler that cannot bear a certain byte before EOF.
struct Touchy;

impl Handler for Touchy {
    type State = ();
    fn readable(&mut self, _: &mut Conn<'_>, (): &mut ()) {}
    fn ended(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        assert!(!conn.data().contains(&b'%'), "a percent sign");
        conn.finish();
    }
}

type Run = fn(&Scene) -> Option<Faults>;

fn loses(scene: &Scene) -> Option<Faults> {
    let mut memory = Memory::<3, 64, 128, usize>::new();
    let mut world = scene.world(&mut memory, Forgetful).expect("a sound setup");
    world.settle().expect("the core is sound");
    let mut finished = world.peers().filter(|peer| peer.end() == End::Finished);
    let lost = finished.any(|peer| peer.sent().len() > peer.received().len());
    lost.then(|| world.kernel().faults.clone())
}

fn panics(scene: &Scene) -> Option<Faults> {
    let mut memory = Memory::<3, 64, 128>::new();
    let mut world = scene.world(&mut memory, Touchy).expect("a sound setup");
    let settled = catch_unwind(AssertUnwindSafe(|| world.settle()));
    settled.is_err().then(|| world.kernel().faults.clone())
}

/// A scene as a fuzzer would make it: everything on but faults that end a connection, which loses bytes, too.
fn random(seed: u64) -> Scene {
    let mut random = Random::new(seed);
    let setup = Setup {
        seed,
        interface: *random.pick(&Interface::ALL).expect("four"),
        config: Config {
            quantum: random.length(4096),
            trigger: Trigger::Edge,
            ..Config::default()
        },
        limits: Limits {
            tcp_buffer: 1024,
            ..Limits::default()
        },
        faults: Faults::swarm(seed, 9, false),
        noise: true,
        clock_jumps: true,
        ..Setup::default()
    };
    let scripts = (0..8).map(|_| Script::random(&mut random, 12)).collect();
    Scene { setup, scripts }
}

/// The failing scenes among the first, made small.
fn shrunk(run: Run) -> Vec<Scene> {
    let scenes = (0..200).map(random);
    let failing = scenes.filter(|scene| run(scene).is_some());
    let small = failing.take(5).map(|scene| {
        let large = scene.steps();
        let small = scene.shrink(run);
        assert!(small.steps() <= 20 && small.steps() <= large, "{small:?}");
        assert!(run(&small).is_some(), "it still fails: {small:?}");
        small
    });
    small.collect()
}

#[test]
fn a_lost_byte_takes_three_hundred_bytes_and_nothing_else() {
    let small = shrunk(loses);
    assert_eq!(small.len(), 5);
    for scene in small {
        let text = scene.as_test("Memory::<3, 64, 128, usize>::new()", "Forgetful");
        println!("{text}");
        assert_eq!(scene.scripts.len(), 1, "{text}");
        assert!(text.contains("    world.add(sim::Script::new()"), "{text}");
        assert!(text.contains(".send("), "{text}");
    }
}

#[test]
fn a_panic_takes_one_byte_and_an_end() {
    std::panic::set_hook(Box::new(|_| {}));
    let small = shrunk(panics);
    let _ = std::panic::take_hook();
    assert_eq!(small.len(), 5);
    for scene in small {
        let text = scene.as_test("Memory::<3, 64, 128>::new()", "Touchy");
        println!("{text}");
        assert!(
            text.contains("world.add(sim::Script::new().send(b\"%\")"),
            "{text}"
        );
    }
}
