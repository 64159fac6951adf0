//! Framings over connections: messages out of the receive window, frames into the send window.

use super::*;
use crate::framing::{FrameError, Framed, LengthPrefix, Lines, Progress};
use alloc::string::ToString;

/// Notes the lines that it finds and what it missed.
struct Reader {
    lines: Framed<Lines>,
    heard: Vec<String>,
    ended: Vec<Reason>,
}

impl Handler for Reader {
    type State = Progress;

    fn readable(&mut self, conn: &mut Conn<'_>, scan: &mut Progress) {
        while let Some(line) = self.lines.next(conn, scan) {
            self.heard.push(String::from_utf8_lossy(line).into_owned());
        }
    }

    fn closed(&mut self, _: &mut Conn<'_>, _: &mut Progress, reason: Reason) {
        self.ended.push(reason);
    }
}

const WINDOW: usize = 8;

fn framed<F>(framing: F, skips: bool) -> Framed<F> {
    let framed = Framed::new(framing);
    if skips { framed.skip_errors() } else { framed }
}

/// One connection whose peer sends these pieces and then FIN.
fn read(max: usize, skips: bool, pieces: &[&[u8]]) -> Reader {
    let memory = Box::leak(Box::new(Memory::<1, WINDOW, 8, Progress>::new()));
    let reader = Reader {
        lines: framed(Lines::new(max), skips),
        heard: Vec::new(),
        ended: Vec::new(),
    };
    let mut session = Session::new(memory, &Config::default(), reader).expect("sound");
    let listener = session.listen(None).expect("a place");
    let now = Instant::from_nanos(1 << 40);
    let (mut pieces, mut rest) = (pieces.iter(), &[][..]);
    session.handle_event(now, readable(listener));
    for _ in 0..1000 {
        session.handle_timeout(now);
        let Some(action) = session.poll_output(None) else {
            let Some(live) = session.machine().connections().next() else {
                break;
            };
            session.handle_event(now, readable(live));
            continue;
        };
        let (token, op, outcome) = match action {
            Action::Accept { token, .. } => (token, Op::Accept, Outcome::Accepted(None)),
            Action::Recv { token, into } => {
                if rest.is_empty() {
                    rest = pieces.next().copied().unwrap_or(&[]);
                }
                let n = rest.len().min(into.len as usize);
                session.receive_into(token, into)[..n].copy_from_slice(&rest[..n]);
                rest = &rest[n..];
                let n = u32::try_from(n).expect("small");
                (token, Op::Recv, Outcome::Complete(n))
            }
            Action::Send { token, from } => (token, Op::Send, Outcome::Complete(from.len)),
            Action::Shutdown { token } => (token, Op::Shutdown, Outcome::Complete(0)),
            Action::Close { token, .. } => (token, Op::Close, Outcome::Complete(0)),
            Action::Arm { .. } | Action::Cancel { .. } | Action::Rebuild => continue,
            Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Unsent { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. } => {
                panic!("not asked for: {action:?}")
            }
        };
        session.handle_event(now, Event::Done { token, op, outcome });
    }
    assert!(session.machine().connections().next().is_none(), "its end");
    let handler = session.handler_mut();
    Reader {
        lines: handler.lines,
        heard: core::mem::take(&mut handler.heard),
        ended: core::mem::take(&mut handler.ended),
    }
}

fn readable(token: Token) -> Event {
    Event::Ready {
        token,
        directions: Directions::READ,
        closing: false,
    }
}

/// A text of 18 bytes through a window of 8, cut everywhere.
#[test]
fn lines_are_found_through_a_small_window_at_every_cut() {
    let text = b"a\nbcde\r\n\nfghij\nkl\n";
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let pieces = [&text[..first], &text[first..second], &text[second..]];
            let pieces: Vec<&[u8]> = pieces
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .collect();
            let reader = read(WINDOW - 2, false, &pieces);
            assert_eq!(
                reader.heard,
                ["a", "bcde", "", "fghij", "kl"],
                "{first}, {second}"
            );
            assert_eq!(reader.ended, [Reason::PeerFinished]);
        }
    }
}

#[test]
fn too_long_a_line_closes_or_is_skipped_as_asked() {
    let text: &[u8] = b"ok\n12345\nmore\n";
    let reader = read(4, false, &[text]);
    assert_eq!(
        (reader.heard, reader.ended),
        (vec_of(&["ok"]), Vec::from([Reason::TooLong]))
    );
    assert_eq!(reader.lines.errors(), 1);
    let reader = read(4, true, &[text]);
    assert_eq!(reader.heard, ["ok", "more"]);
    assert_eq!(
        (reader.lines.errors(), reader.ended),
        (1, Vec::from([Reason::PeerFinished]))
    );
}

/// The maximum is beyond what the window can show: the machine itself ends it.
#[test]
fn a_line_that_fills_the_window_closes_whatever_was_asked() {
    for skips in [false, true] {
        let reader = read(100, skips, &[b"ok\n1234567", b"89\nmore\n"]);
        assert_eq!(
            (reader.heard, reader.ended),
            (vec_of(&["ok"]), Vec::from([Reason::TooLong]))
        );
    }
}

fn vec_of(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn a_frame_is_sent_whole_or_not_at_all() {
    let mut world = World::new::<1>(App {
        writable: |_, _, _| {},
        ..App::echo()
    });
    let a = world.connect();
    world.fars[a].takes = 0;
    let framed = Framed::new(LengthPrefix::u16(TX));
    world.with(a, |_, conn, _| {
        let too_long = Err(FrameError::TooLong { max: TX });
        assert_eq!(framed.send(conn, b"abc"), Ok(()));
        let capacity = TX - 5;
        let full = FrameError::Send(SendError::Full { capacity });
        assert_eq!(framed.send(conn, &[1; TX - 6]), Err(full));
        assert_eq!(conn.capacity(), capacity, "nothing of it");
        let window = TX;
        let beyond = FrameError::Send(SendError::TooLong { window });
        assert_eq!(framed.send(conn, &[1; TX]), Err(beyond));
        let narrow = Framed::new(LengthPrefix::u8(TX).adjustment(99));
        assert_eq!(
            narrow.send(conn, b"x"),
            too_long,
            "its length would be negative"
        );
        assert_eq!(conn.capacity(), capacity);
        assert_eq!(framed.send(conn, b"de"), Ok(()));
    });
    world.run();
    world.takes(a, usize::MAX);
    assert_eq!(world.fars[a].heard, b"\0\x03abc\0\x02de");
    assert_eq!(world.app().count("writable"), 1, "for what was full");
}

#[cfg(feature = "cobs")]
#[test]
fn cobs_comes_decoded_and_what_cannot_be_is_skipped_or_ends() {
    use crate::framing::Cobs;

    for skips in [true, false] {
        let mut world = World::new::<1>(App {
            readable: |_, _, _| {},
            ..App::echo()
        });
        let a = world.connect();
        let (mut framed, mut scan) = (framed(Cobs::new(4), skips), Progress::default());
        world.says(a, b"\x02a\x01\0\x09bad\0\0\x02c\0\x03d");
        world.with(a, |_, conn, _| {
            let mut plain = [0; 4];
            assert_eq!(
                framed.next_decoded(conn, &mut scan, &mut plain),
                Some(&b"a\0"[..])
            );
            let next = framed.next_decoded(conn, &mut scan, &mut plain);
            assert_eq!(next, skips.then_some(&b"c"[..]));
            assert_eq!(framed.next_decoded(conn, &mut scan, &mut plain), None);
            assert_eq!(framed.errors(), 1);
            assert_eq!(conn.data(), if skips { &b"\x03d"[..] } else { b"" });
            assert_eq!(framed.send(conn, b"e\0").is_ok(), skips);
        });
        world.run();
        let heard: &[u8] = if skips { b"\x02e\x01\0" } else { b"" };
        assert_eq!(
            (&world.fars[a].heard[..], world.fars[a].got_end),
            (heard, heard.is_empty())
        );
    }
}

#[cfg(feature = "embedded-io")]
#[test]
fn crates_of_the_embedded_world_read_and_write() {
    use embedded_io::{BufRead, Read, ReadReady, Write, WriteReady};

    let mut world = World::new::<1>(App {
        readable: |_, _, _| {},
        writable: |_, _, _| {},
        ..App::echo()
    });
    let a = world.connect();
    world.fars[a].takes = 0;
    world.says(a, b"abcdef");
    world.with(a, |_, conn, _| {
        let mut two = [0; 2];
        conn.read_exact(&mut two).expect("two bytes");
        assert_eq!((&two, conn.fill_buf()), (b"ab", Ok(&b"cdef"[..])));
        BufRead::consume(conn, 3);
        assert_eq!(conn.read_ready(), Ok(true));
        let mut more = [0; 9];
        assert_eq!(conn.read(&mut more), Ok(1));
        assert_eq!((more[0], conn.read_ready()), (b'f', Ok(false)));
        assert_eq!(conn.read(&mut more), Err(SendError::Empty));
        write!(conn, "{:>4}", 7).expect("capacity");
        assert_eq!(conn.write(&[]), Ok(0));
        assert_eq!(conn.write(&[b'x'; TX]), Ok(TX - 4), "what fits");
        assert_eq!(conn.write_ready(), Ok(false));
        assert_eq!(conn.write(b"y"), Err(SendError::Full { capacity: 0 }));
        assert_eq!(conn.flush(), Ok(()));
    });
    world.run();
    world.takes(a, usize::MAX);
    assert_eq!(world.app().count("writable"), 1);
    assert!(world.fars[a].heard.starts_with(b"   7x"));
    world.with(a, |_, conn, _| {
        conn.finish();
        assert_eq!(conn.write(b"z"), Err(SendError::Closed));
    });
}

/// What `std` has for blocking streams, over the embedded traits, as adapters of other crates are: whatever is `Interrupted` there
/// is tried again at once, without end.
#[cfg(feature = "embedded-io")]
#[test]
fn code_for_blocking_streams_gives_up_where_it_would_wait() {
    use embedded_io::{Error, ErrorKind};
    use std::io::{self, BufRead};

    struct ToStd<'a, 'c>(&'a mut crate::Conn<'c>, u32);

    impl io::Read for ToStd<'_, '_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            assert!(self.1 < 10, "it spins");
            embedded_io::Read::read(self.0, buf).map_err(|error| {
                if error.kind() == ErrorKind::Interrupted {
                    io::ErrorKind::Interrupted.into()
                } else {
                    io::Error::other(std::format!("{error}"))
                }
            })
        }
    }

    for says in [&b"x"[..], b"", b"half a line"] {
        let mut world = World::new::<1>(App {
            readable: |_, _, _| {},
            ..App::echo()
        });
        let a = world.connect();
        world.says(a, says);
        world.with(a, |_, conn, _| {
            let mut line = alloc::string::String::new();
            let read = io::BufReader::new(ToStd(conn, 0)).read_line(&mut line);
            assert!(read.is_err(), "{says:?}");
        });
    }
}
