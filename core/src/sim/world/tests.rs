use super::*;
use std::println;
struct Capitals;
impl Handler for Capitals {
    type State = ();
    fn readable(&mut self, conn: &mut crate::Conn<'_>, _: &mut ()) {
        while let Some(end) = conn.data().iter().position(|&byte| byte == b'\n') {
            let answer = conn.data()[..=end].to_ascii_uppercase();
            if conn.send(&answer).is_err() {
                return;
            }
            conn.consume(end + 1);
        }
    }
}
#[test]
fn probe() {
    for interface in Interface::ALL {
        for seed in 0..200 {
            let mut memory = Memory::<2, 64, 128>::new();
            let setup = Setup {
                seed,
                interface,
                faults: Faults::swarm(seed, 20, false),
                ..Setup::default()
            };
            let mut world = World::new(&mut memory, &setup, Capitals).unwrap();
            let lines = b"one\ntwo\n".repeat(100);
            world.add(Script::new().segments(1).send(&lines).finish());
            world.add(
                Script::new()
                    .stall()
                    .send(&lines)
                    .wait(Duration::from_secs(9))
                    .resume()
                    .finish(),
            );
            world.add(Script::new().send(b"half a li").reset());
            world.add(Script::new().send(b"me too\n").expect(7).finish());
            if let Err(e) = world.settle() {
                println!("{interface:?} {seed}: {e}");
            }
            let bad = world
                .peers
                .iter()
                .enumerate()
                .any(|(i, p)| i != 2 && p.received() != p.sent().to_ascii_uppercase());
            if bad {
                for p in &world.peers {
                    println!(
                        "  {interface:?} {seed}: sent {} received {} end {:?}",
                        p.sent().len(),
                        p.received().len(),
                        p.end()
                    );
                }
                for t in world.told() {
                    println!("  {:?} {} {:?}", t.peer, t.received.len(), t.closed);
                }
            }
        }
    }
}
