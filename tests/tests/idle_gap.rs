//! Messages with silence between them, over the simulated kernel and its clock: each is found whole, however it is cut and
//! on whatever interface, when the silence has lasted, and not before.

use core::time::Duration;
use tidegate_core::framing::{Framed, IdleGap, Progress};
use tidegate_core::{Conn, Handler, Instant, Memory};
use tidegate_sim::{End, Interface, Script, Setup, World};

const GAP: Duration = Duration::from_millis(4);
/// Within a message, and between two.
const SHORT: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_millis(5);
const MAX: usize = 12;
const WINDOW: usize = IdleGap::new(GAP, MAX).max_frame();

/// Records what it receives, and when; replies with the length.
struct Slave {
    frames: Framed<IdleGap>,
    heard: Vec<Vec<u8>>,
    early: bool,
}

/// When a byte came last.
#[derive(Default)]
struct State {
    gap: Progress,
    bytes: usize,
    last: Instant,
}

impl Handler for Slave {
    type State = State;

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        if conn.data().len() > state.bytes {
            state.last = conn.now();
        }
        while let Some(message) = self.frames.next(conn, &mut state.gap) {
            self.early |= conn.now().since(state.last) < GAP && !message.ends_with(b"end");
            self.heard.push(message.to_vec());
            let len = u8::try_from(message.len()).expect("a short message");
            let _ = self.frames.send(conn, &[b'0' + len]);
        }
        state.bytes = conn.data().len();
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.readable(conn, state);
        conn.finish();
    }
}

/// What is received of a client that sends this, and the replies.
fn hear(interface: Interface, skips: bool, script: Script) -> (Vec<Vec<u8>>, Vec<u8>, End, u64) {
    let mut memory = Memory::<1, WINDOW, 64, State>::new();
    let setup = Setup {
        interface,
        ..Setup::default()
    };
    let frames = Framed::new(IdleGap::new(GAP, MAX));
    let slave = Slave {
        frames: if skips { frames.skip_errors() } else { frames },
        heard: Vec::new(),
        early: false,
    };
    let mut world = World::new(&mut memory, &setup, slave).expect("a sound setup");
    let peer = world.add(script);
    world.settle().unwrap_or_else(|broken| panic!("{broken}"));
    let (answers, end) = (world.peer(peer).received().to_vec(), world.peer(peer).end());
    let slave = world.handler();
    assert!(!slave.early, "{interface:?}: {:?}", slave.heard);
    (slave.heard.clone(), answers, end, slave.frames.errors())
}

#[test]
fn a_message_is_whole_at_every_cut() {
    let text = b"a request";
    for interface in Interface::ALL {
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
                let script = pieces.fold(Script::new(), |script, piece| {
                    script.wait(SHORT).send(piece)
                });
                let script = script.wait(LONG).send(b"another").expect(2).finish();
                let heard = hear(interface, false, script);
                let expected = [text.to_vec(), b"another".to_vec()];
                let expected = (expected.to_vec(), b"97".to_vec(), End::Finished, 0);
                assert_eq!(heard, expected, "{interface:?}, {first}, {second}");
            }
        }
    }
}

/// A reply comes though nothing follows: the timer triggers it.
#[test]
fn bytes_one_by_one_are_messages_or_one_as_the_silence_says() {
    for interface in Interface::ALL {
        let bytes = |wait: Duration| {
            let script = Script::new().segments(1);
            (0..8u8).fold(script, |script, n| script.send(&[n]).wait(wait))
        };
        let (heard, answers, ..) =
            hear(interface, false, bytes(SHORT).wait(LONG).expect(1).finish());
        assert_eq!(
            (heard.concat(), heard.len(), &answers[..]),
            ((0..8).collect(), 1, &b"8"[..])
        );
        let (heard, answers, ..) = hear(interface, false, bytes(LONG).expect(8).finish());
        assert_eq!(
            (heard.concat(), heard.len(), &answers[..]),
            ((0..8).collect(), 8, &b"11111111"[..])
        );
    }
}

#[test]
fn the_end_is_an_end_of_a_message() {
    for interface in Interface::ALL {
        for wait in [Duration::ZERO, SHORT, LONG] {
            let script = Script::new()
                .send(b"the ")
                .wait(SHORT)
                .send(b"end")
                .wait(wait)
                .finish();
            let (heard, answers, end, _) = hear(interface, false, script);
            assert_eq!((heard.concat(), heard.len()), (b"the end".to_vec(), 1));
            assert_eq!((&answers[..], end), (&b"7"[..], End::Finished));
        }
    }
}

#[test]
fn the_longest_fits_and_one_longer_is_skipped_or_closes() {
    for interface in Interface::ALL {
        for longer in [0, 1, 2] {
            for skips in [true, false] {
                let script = Script::new()
                    .send(&[b'x'; MAX - 1])
                    .wait(SHORT)
                    .send(&[b'y'; 1])
                    .wait(SHORT)
                    .send(&vec![b'z'; longer])
                    .wait(LONG)
                    .send(b"next")
                    .wait(LONG)
                    .finish();
                let (heard, .., errors) = hear(interface, skips, script);
                let lengths: Vec<_> = heard.iter().map(Vec::len).collect();
                let expected = match (longer, skips) {
                    (0, _) => (&[MAX, 4][..], 0),
                    (_, true) => (&[4][..], 1),
                    (_, false) => (&[][..], 1),
                };
                assert_eq!((&lengths[..], errors), expected, "{interface:?}, {longer}");
            }
        }
    }
}
