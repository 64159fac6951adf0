//! A peer that reads all the time loses nothing of what handlers of other connections send to it, as long as the kernel
//! takes it: at every size of the windows, with every trigger, and however the handler sends.

use core::time::Duration;
use tidegate_core::{Conn, Handler, Memory};
use tidegate_sim::{End, Interface, Limits, Script, Setup, World};

/// How lines go to all others.
#[derive(Clone, Copy, Debug)]
enum By {
    SendOthers,
    SendTo,
    With,
    /// All lines that are there, in one piece.
    Bulk,
}

struct Chat {
    by: By,
    missed: u32,
}

impl Chat {
    fn pass_on(&mut self, conn: &mut Conn<'_>, bytes: &[u8]) {
        let own = conn.token();
        let others: Vec<_> = conn.connections().filter(|token| *token != own).collect();
        self.missed += match self.by {
            By::SendOthers | By::Bulk => conn.send_others(bytes),
            By::SendTo => {
                let missed = (others.into_iter()).filter(|to| conn.send_to(*to, bytes).is_err());
                u32::try_from(missed.count()).expect("a few")
            }
            By::With => {
                let mut sent = |to| conn.with(to, |other| other.send(bytes).is_ok());
                let missed = others.into_iter().filter(|to| sent(*to) != Some(true));
                u32::try_from(missed.count()).expect("a few")
            }
        };
    }
}

impl Handler for Chat {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        if let By::Bulk = self.by {
            let Some(last) = conn.data().iter().rposition(|&byte| byte == b'\n') else {
                return;
            };
            self.pass_on(conn, &conn.data()[..=last]);
            return conn.consume(last + 1);
        }
        while let Some(end) = conn.data().iter().position(|&byte| byte == b'\n') {
            self.pass_on(conn, &conn.data()[..=end]);
            conn.consume(end + 1);
        }
    }
}

fn line(talker: u8, length: usize) -> Vec<u8> {
    let mut line = vec![b'a' + talker; length];
    line[length - 1] = b'\n';
    line
}

/// `talkers` send lines of this length, some 40 windows of them; three listen, and one of three more never reads.
fn burst<const RX: usize, const TX: usize>(length: usize, talkers: u8) {
    let lines = (40 * RX.max(TX) / length).min(2000);
    for interface in Interface::ALL {
        // There the simulator lets a send stand for as long as it likes: that is a peer that does not read.
        if interface == Interface::Completion {
            continue;
        }
        for by in [By::SendOthers, By::SendTo, By::With, By::Bulk] {
            let mut memory = Memory::<8, RX, TX>::new();
            let setup = Setup {
                seed: 7,
                interface,
                // The kernel takes everything.
                limits: Limits {
                    tcp_buffer: 1 << 30,
                    tcp_window: 1 << 29,
                    ..Limits::default()
                },
                ..Setup::default()
            };
            let mut world =
                World::new(&mut memory, &setup, Chat { by, missed: 0 }).expect("a setup");
            let minute = Duration::from_secs(1);
            let listeners = [(); 3].map(|()| world.add(Script::new().wait(9 * minute).finish()));
            world.run_for(minute).expect("no law is broken");
            let ids: Vec<_> = (0..talkers)
                .map(|talker| {
                    let line = line(talker, length);
                    let script = Script::new().send(&line).wait(minute);
                    world.add(script.send(&line.repeat(lines)).finish())
                })
                .collect();
            world.run_for(5 * minute).expect("no law is broken");
            let what =
                format!("{interface:?}, {RX}/{TX}, lines of {length}, {talkers} talk, {by:?}");
            assert_eq!(world.handler().missed, 0, "{what}");
            let all = usize::from(talkers) * (lines + 1) * length;
            for id in listeners {
                assert_eq!(world.peer(id).received().len(), all, "{what}");
            }
            for id in ids {
                assert_eq!(world.peer(id).end(), End::Finished, "{what}");
            }
        }
    }
}

#[test]
fn an_attentive_listener_loses_nothing() {
    for talkers in [1, 3] {
        burst::<4096, 16384>(100, talkers);
        burst::<4096, 4096>(1000, talkers);
        burst::<1024, 4096>(17, talkers);
        burst::<64, 256>(64, talkers);
        burst::<64, 100>(33, talkers);
        burst::<64, 64>(64, talkers);
        burst::<256, 64>(64, talkers);
        burst::<300, 100>(51, talkers);
        burst::<16, 17>(1, talkers);
    }
}
