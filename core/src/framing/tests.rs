//! Every framing at every cut: a stream in one piece, in two, in three, byte by byte, always gives the same.

use super::length::Skip;
use super::*;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

type Found = Vec<Result<Vec<u8>, FrameError>>;

/// What comes out of a stream that comes in these pieces, each after the one before was decoded.
fn decode<F: Decoder>(framing: &F, pieces: &[&[u8]]) -> Found {
    let (mut progress, mut window, mut found) = (F::Progress::default(), Vec::new(), Found::new());
    for piece in pieces {
        window.extend_from_slice(piece);
        take(
            framing,
            &mut progress,
            &mut window,
            &mut found,
            Instant::ZERO,
        );
    }
    found
}

fn take<F: Decoder>(
    framing: &F,
    progress: &mut F::Progress,
    window: &mut Vec<u8>,
    found: &mut Found,
    now: Instant,
) {
    loop {
        let consumed = match framing.decode(progress, window, now) {
            Decoded::Message { message, frame } => {
                found.push(Ok(window[message].to_vec()));
                frame
            }
            Decoded::Error { error, frame } => {
                found.push(Err(error));
                frame
            }
            Decoded::Skipped(n) => n,
            Decoded::Incomplete => return,
        };
        assert!(consumed > 0, "it goes on");
        window.drain(..consumed);
    }
}

/// The same, whatever the pieces.
fn at_every_cut<F: Decoder>(framing: &F, stream: &[u8]) -> Found {
    let whole = decode(framing, &[stream]);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(framing, &bytes), whole, "byte by byte");
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(decode(framing, &pieces), whole, "cut at {first}, {second}");
        }
    }
    whole
}

/// Messages go there and back, glued together and cut everywhere.
fn there_and_back<F: Decoder + Encoder>(framing: &F, messages: &[&[u8]]) {
    let mut stream = Vec::new();
    for message in messages {
        let mut frame = vec![0xaa; framing.frame_len(message.len())];
        let n = framing.encode(message, &mut frame).expect("a frame");
        stream.extend_from_slice(&frame[..n]);
    }
    let sent: Found = messages
        .iter()
        .map(|message| Ok(message.to_vec()))
        .collect();
    assert_eq!(at_every_cut(framing, &stream), sent);
}

fn ok(message: &[u8]) -> Result<Vec<u8>, FrameError> {
    Ok(message.to_vec())
}

const fn too_long(max: usize) -> Result<Vec<u8>, FrameError> {
    Err(FrameError::TooLong { max })
}

fn cannot<F: Encoder>(framing: &F, message: &[u8]) -> FrameError {
    let mut frame = vec![0; framing.frame_len(message.len())];
    framing.encode(message, &mut frame).expect_err("no frame")
}

#[test]
fn lines_end_with_lf_or_crlf() {
    let lines = Lines::new(5);
    let found = at_every_cut(&lines, b"a\nbc\r\n\n\r\n\rd\n12345\n12345\r\nlast");
    let expected: [&[u8]; 7] = [b"a", b"bc", b"", b"", b"\rd", b"12345", b"12345"];
    assert_eq!(found, expected.map(ok));
    there_and_back(&lines, &[b"", b"ab", b"12345"]);
    there_and_back(&lines.crlf(), &[b"", b"a\rb", b"12345"]);
    let mut frame = [0; 9];
    assert_eq!(lines.crlf().encode(b"ab", &mut frame), Ok(4));
    assert_eq!(&frame[..4], b"ab\r\n");
}

#[test]
fn a_line_too_long_is_one_error_and_the_next_is_found() {
    let lines = Lines::new(5);
    let found = at_every_cut(
        &lines,
        b"ok\n123456\nok\n12345\r6\nok\n1234567890123\r\nok\n123456\r\nx\n",
    );
    let good = || ok(b"ok");
    let expected = [
        good(),
        too_long(5),
        good(),
        too_long(5),
        good(),
        too_long(5),
        good(),
    ];
    assert_eq!(found[..7], expected);
    assert_eq!(found[7..], [too_long(5), ok(b"x")]);
    assert_eq!(cannot(&lines, b"123456"), FrameError::TooLong { max: 5 });
    assert_eq!(cannot(&lines, b"a\nb"), FrameError::Ambiguous);
    assert_eq!(cannot(&lines, b"a\r"), FrameError::Ambiguous);
}

#[test]
fn the_last_line_may_lack_its_end_where_that_is_asked_for() {
    let (strict, lenient) = (Lines::new(5), Lines::new(5).last_unterminated());
    for (stream, last) in [
        (&b"a\nlast"[..], Some(ok(b"last"))),
        (b"a\nlast\r", Some(ok(b"last"))),
        (b"a\n12345", Some(ok(b"12345"))),
        (b"a\n12345\r", Some(ok(b"12345"))),
        (b"a\n123456", Some(too_long(5))),
        (b"a\n1234567890", Some(too_long(5))),
        (b"a\n\r", Some(ok(b""))),
        (b"a\n", None),
    ] {
        let found = at_every_cut(&lenient, stream);
        assert_eq!(
            found,
            at_every_cut(&strict, stream),
            "as long as more may come"
        );
        for cut in 0..=stream.len() {
            for (lines, last) in [(strict, None), (lenient, last.clone())] {
                let (mut scan, mut window) = (Progress::default(), Vec::new());
                let mut all = Found::new();
                for (piece, now) in [
                    (&stream[..cut], Instant::ZERO),
                    (&stream[cut..], Instant::ZERO),
                    (&[], Instant::NEVER),
                ] {
                    window.extend_from_slice(piece);
                    take(&lines, &mut scan, &mut window, &mut all, now);
                }
                let mut expected = found.clone();
                expected.extend(last.filter(|last| found.last() != Some(last)));
                assert_eq!(all, expected, "{stream:?} cut at {cut}");
            }
        }
    }
}

#[test]
fn a_line_without_an_end_holds_no_more_than_its_maximum() {
    let lines = Lines::new(5);
    let (mut scan, mut window, mut found) = (Progress::default(), Vec::new(), Found::new());
    for _ in 0..1000 {
        window.push(b'x');
        take(&lines, &mut scan, &mut window, &mut found, Instant::ZERO);
        assert!(window.len() < lines.max_frame(), "{}", window.len());
    }
    assert_eq!(found, [too_long(5)]);
}

#[test]
fn delimiters_of_any_length() {
    let heads = Delimiter::new(b"\r\n\r\n", 8);
    let found = at_every_cut(
        &heads,
        b"a\r\nb\r\n\r\n\r\n\r\n12345678\r\n\r\n\r\r\n\r\r\n\r\n\r\n",
    );
    let expected: [&[u8]; 4] = [b"a\r\nb", b"", b"12345678", b"\r\r\n\r"];
    assert_eq!(found, expected.map(ok));
    let found = at_every_cut(
        &heads,
        b"123456789\r\n\r\nok\r\n\r\n12345678\r\n\r9\r\n\r\r\n\r\nok\r\n\r\n",
    );
    assert_eq!(found, [too_long(8), ok(b"ok"), too_long(8), ok(b"ok")]);
    there_and_back(&heads, &[b"a\r", b"", b"\r", b"12345678"]);
    assert_eq!(cannot(&heads, b"a\r\n\r\nb"), FrameError::Ambiguous);
    assert_eq!(cannot(&heads, b"a\r\n"), FrameError::Ambiguous);
    assert_eq!(cannot(&heads, b"123456789"), FrameError::TooLong { max: 8 });
    // Its own beginning in front of it.
    let selfish = Delimiter::new(b"aab", 3);
    assert_eq!(at_every_cut(&selfish, b"aaabaab"), [ok(b"a"), ok(b"")]);
    assert_eq!(
        cannot(&Delimiter::new(b"aa", 3), b"a"),
        FrameError::Ambiguous
    );
    assert_eq!(at_every_cut(&Delimiter::new(b"", 3), b"ab"), []);
}

#[test]
fn lengths_of_every_width_and_order() {
    for prefix in [LengthPrefix::u8, LengthPrefix::u16, LengthPrefix::u32] {
        for adjustment in [0, 3, -1] {
            let framing = prefix(9).adjustment(adjustment);
            for framing in [framing, framing.little_endian()] {
                there_and_back(&framing, &[b"abc", b"123456789", b"1234"]);
            }
        }
    }
    let framing = LengthPrefix::u16(300);
    let mut frame = [0; 302];
    assert_eq!(framing.encode(&[7; 300], &mut frame), Ok(302));
    assert_eq!(frame[..3], [1, 44, 7]);
    assert_eq!(
        framing.little_endian().encode(&[7; 300], &mut frame),
        Ok(302)
    );
    assert_eq!(frame[..3], [44, 1, 7]);
    assert_eq!(
        cannot(&framing, &[0; 301]),
        FrameError::TooLong { max: 300 }
    );
    let narrow = LengthPrefix::u8(300);
    assert_eq!(cannot(&narrow, &[0; 256]), FrameError::TooLong { max: 300 });
    there_and_back(&LengthPrefix::u32(9), &[b"", b"x", b""]);
}

#[test]
fn a_length_behind_an_offset_leaves_the_frame_whole() {
    let modbus = LengthPrefix::u16(12).offset(4);
    let stream = [
        0, 1, 0, 0, 0, 3, 0xff, 7, 8, 0, 2, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1,
    ];
    let found = at_every_cut(&modbus, &stream);
    assert_eq!(found, [ok(&stream[..9]), ok(&stream[9..])]);
    there_and_back(&modbus, &[&stream[..9], &stream[9..]]);
    let mut frame = [0; 9];
    let unknown = [0, 1, 0, 0, 99, 99, 0xff, 7, 8];
    assert_eq!(modbus.encode(&unknown, &mut frame), Ok(9));
    assert_eq!(frame, stream[..9], "the length is filled in");
    assert_eq!(cannot(&modbus, &[0; 5]), FrameError::Ambiguous);
}

#[test]
fn a_frame_too_long_is_skipped_by_its_length() {
    let framing = LengthPrefix::u8(3);
    let found = at_every_cut(&framing, b"\x01a\x05bbbbb\x03ccc\x04dddd\x00\x01e");
    let expected = [
        ok(b"a"),
        too_long(3),
        ok(b"ccc"),
        too_long(3),
        ok(b""),
        ok(b"e"),
    ];
    assert_eq!(found, expected);
    // The longest length there is takes more than 2³² bytes, and is still skipped exactly.
    let framing = LengthPrefix::u32(3).adjustment(i32::MAX);
    let mut skip = Progress::default();
    let decoded = framing.decode(&mut skip, &[0xff; 9], Instant::ZERO);
    let error = FrameError::TooLong { max: 3 };
    assert_eq!(decoded, Decoded::Error { error, frame: 9 });
    assert_eq!(skip.skip(), Skip(u64::from(u32::MAX) + i32::MAX as u64 - 5));
}

#[test]
fn an_impossible_length_ends_the_stream() {
    let framing = LengthPrefix::u8(3).adjustment(-1);
    let found = at_every_cut(&framing, b"\x02a\x00\x02b\x02c");
    assert_eq!(found, [ok(b"a"), Err(FrameError::Lost)]);
}

#[test]
fn fixed_lengths() {
    there_and_back(&FixedLength::new(3), &[b"abc", b"def", b"ghi"]);
    assert_eq!(decode(&FixedLength::new(3), &[b"abcd"]), [ok(b"abc")]);
    assert_eq!(cannot(&FixedLength::new(3), b"ab"), FrameError::Ambiguous);
    assert_eq!(decode(&FixedLength::new(0), &[b"ab"]), [ok(b"a"), ok(b"b")]);
}

#[cfg(feature = "cobs")]
#[test]
fn cobs_there_and_back_and_in_step_after_a_zero() {
    let plain = |framing: &Cobs, found: Found| -> Found {
        let unstuff = |coded: Vec<u8>| {
            let mut space = [0; 400];
            framing.unstuff(&coded, &mut space).map(<[u8]>::to_vec)
        };
        found
            .into_iter()
            .map(|coded| coded.and_then(unstuff))
            .collect()
    };
    let framing = Cobs::new(6);
    let messages: [&[u8]; 5] = [b"", b"\0", b"ab\0c", b"123456", b"\0\0\0\0\0\0"];
    let mut stream = vec![9, 9, 0];
    for message in messages {
        let mut frame = vec![0xaa; framing.frame_len(message.len())];
        let n = framing.encode(message, &mut frame).expect("a frame");
        assert!(n <= framing.max_frame());
        stream.extend_from_slice(&frame[..n]);
    }
    stream.extend_from_slice(b"\0\0\x081234567\0\x0912345678\0\x02a\0");
    let found = plain(&framing, at_every_cut(&framing, &stream));
    let mut expected: Found = vec![Err(FrameError::Malformed)];
    expected.extend(messages.map(ok));
    expected.extend([too_long(6), too_long(6), ok(b"a")]);
    assert_eq!(found, expected);
    let long = Cobs::new(300);
    let message: Vec<u8> = (0..300).map(|n| (n % 255) as u8 + 1).collect();
    let mut frame = vec![0; long.max_frame()];
    let n = long.encode(&message, &mut frame).expect("a frame");
    assert_eq!(plain(&long, decode(&long, &[&frame[..n]])), [ok(&message)]);
    assert_eq!(cannot(&framing, &[1; 7]), FrameError::TooLong { max: 6 });
    let mut small = [0; 2];
    assert_eq!(
        long.unstuff(b"\x04abc", &mut small),
        Err(FrameError::TooLong { max: 2 })
    );
}

/// Each at its time in milliseconds.
fn heard(framing: &IdleGap, said: &[(u64, &[u8])]) -> (Found, Progress) {
    let (mut gap, mut window, mut found) = (Progress::default(), Vec::new(), Found::new());
    for (millis, bytes) in said {
        let now = Instant::from_nanos(millis * 1_000_000);
        window.extend_from_slice(bytes);
        take(framing, &mut gap, &mut window, &mut found, now);
    }
    (found, gap)
}

#[test]
fn a_gap_ends_a_message() {
    let framing = IdleGap::new(Duration::from_millis(4), 4);
    assert_eq!(framing.due(&Progress::default()), None);
    // A poll before the gap is over finds nothing, one after it does.
    let (found, gap) = heard(&framing, &[(100, b"ab"), (103, b"c"), (106, b"")]);
    assert_eq!(found, []);
    assert_eq!(framing.due(&gap), Some(Instant::from_nanos(107_000_000)));
    let (found, gap) = heard(&framing, &[(100, b"ab"), (103, b"c"), (107, b"")]);
    assert_eq!((found, framing.due(&gap)), (vec![ok(b"abc")], None));
    // Without a poll in between, the next bytes end it.
    let (found, gap) = heard(&framing, &[(100, b"ab"), (104, b"c")]);
    assert_eq!(found, [ok(b"ab")]);
    assert_eq!(framing.due(&gap), Some(Instant::from_nanos(108_000_000)));
    there_and_not_back(&framing);
}

/// What can be sent, and what cannot.
fn there_and_not_back(framing: &IdleGap) {
    let mut frame = [0; 4];
    assert_eq!(framing.encode(b"abcd", &mut frame), Ok(4));
    assert_eq!(&frame, b"abcd");
    assert_eq!(cannot(framing, b"abcde"), FrameError::TooLong { max: 4 });
    assert_eq!(cannot(framing, b""), FrameError::Ambiguous, "silence");
}

#[test]
fn after_a_message_too_long_the_next_gap_counts() {
    let framing = IdleGap::new(Duration::from_millis(4), 4);
    let said: [(u64, &[u8]); 6] = [
        (100, b"abc"),
        (101, b"de"),
        (104, b"fgh"),
        (107, b"i"),
        (111, b"next"),
        (115, b""),
    ];
    assert_eq!(heard(&framing, &said).0, [too_long(4), ok(b"next")]);
    let said: [(u64, &[u8]); 3] = [(100, b"abcde"), (104, b"next"), (120, b"")];
    assert_eq!(heard(&framing, &said).0, [too_long(4), ok(b"next")]);
}

#[test]
fn an_error_says_what_was_wrong_and_not_what_became_of_the_connection() {
    use alloc::string::ToString;
    for error in [FrameError::TooLong { max: 4 }, FrameError::Malformed] {
        let text = error.to_string();
        assert!(!text.contains("skip") && !text.contains("close"), "{text}");
    }
}

#[test]
fn the_end_of_the_peer_ends_a_message() {
    let framing = IdleGap::new(Duration::from_millis(4), 4);
    let end = u64::MAX / 1_000_000 + 1;
    let at_end = |said: &[(u64, &[u8])]| {
        let (mut gap, mut window, mut found) = (Progress::default(), Vec::new(), Found::new());
        for (millis, bytes) in said {
            let now = Instant::from_nanos(millis.saturating_mul(1_000_000));
            window.extend_from_slice(bytes);
            take(&framing, &mut gap, &mut window, &mut found, now);
        }
        assert_eq!(
            (window.len(), framing.due(&gap)),
            (0, None),
            "nothing is left"
        );
        found
    };
    assert_eq!(at_end(&[(100, b"abc"), (end, b"")]), [ok(b"abc")]);
    assert_eq!(at_end(&[(100, b"abc"), (end, b"d")]), [ok(b"abcd")]);
    assert_eq!(at_end(&[(end, b"abc")]), [ok(b"abc")]);
    assert_eq!(at_end(&[(100, b"abc"), (end, b"de")]), [too_long(4)]);
    assert_eq!(at_end(&[(100, b"abcde"), (end, b"fg")]), [too_long(4)]);
    assert_eq!(at_end(&[(end, b"")]), []);
}
