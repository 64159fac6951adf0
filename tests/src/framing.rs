//! The body of the fuzz target `framing`.

use arbitrary::Unstructured;
use core::fmt::Debug;
use core::time::Duration;
use tidegate_core::Instant;
use tidegate_core::framing::{
    Cobs, Decoded, Decoder, Delimiter, Encoder, FixedLength, FrameError, IdleGap, LengthPrefix,
    Lines, Progress,
};

/// Cuts a stream anywhere: whatever the framing, the same messages and errors come out as from one piece, no more than a
/// frame is held, and what was found can be sent and found again.
///
/// The first bytes choose the framing, its numbers and where it is cut; the rest is the stream.
///
/// # Panics
///
/// When that does not hold.
pub fn framing(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut byte = || input.arbitrary::<u8>().unwrap_or(0);
    let (which, small, shift, cuts) = (byte(), byte(), byte(), [byte(), byte(), byte()]);
    let max = usize::from(small % 24);
    let stream = input.take_rest();
    match which % 8 {
        0 => check(&Lines::new(max), stream, cuts, Lines::new(max).max_frame()),
        1 => check(&Lines::new(max).crlf(), stream, cuts, max + 2),
        2 => {
            let delimiters: [&[u8]; 4] = [b"\r\n\r\n", b"\0\0", b"aab", &[shift]];
            let framing = Delimiter::new(delimiters[usize::from(shift % 4)], max);
            check(&framing, stream, cuts, framing.max_frame());
        }
        3 | 4 => {
            let prefixes = [LengthPrefix::u8, LengthPrefix::u16, LengthPrefix::u32];
            let framing = prefixes[usize::from(shift % 3)](max)
                .offset(usize::from(shift >> 6))
                .adjustment(i32::from(shift >> 3) % 8 - 4);
            let framing = if which % 8 == 3 {
                framing
            } else {
                framing.little_endian()
            };
            // What stands in front of the message must be there before its length is known.
            check(&framing, stream, cuts, framing.max_frame().max(8));
        }
        5 => check(&FixedLength::new(max), stream, cuts, max.max(1)),
        6 => cobs(&Cobs::new(max), stream, cuts),
        _ => gaps(max, stream),
    }
}

/// A message or an error.
type Found = Vec<Result<Vec<u8>, FrameError>>;

fn check<F: Decoder + Encoder + Debug>(framing: &F, stream: &[u8], cuts: [u8; 3], most: usize) {
    let found = same_at_every_cut(framing, stream, cuts, most);
    let messages: Vec<Vec<u8>> = found.into_iter().flatten().collect();
    again(framing, &messages, most);
}

fn same_at_every_cut<F: Decoder + Debug>(
    framing: &F,
    stream: &[u8],
    cuts: [u8; 3],
    most: usize,
) -> Found {
    let whole = decode(framing, &[stream], usize::MAX);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(
        decode(framing, &bytes, most),
        whole,
        "{framing:?} byte by byte"
    );
    // Pieces of three lengths, over and over.
    let (mut pieces, mut rest) = (Vec::new(), stream);
    for cut in cuts.iter().cycle().take(stream.len()) {
        let (piece, after) = rest.split_at(usize::from(*cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    assert_eq!(
        decode(framing, &pieces, usize::MAX),
        whole,
        "{framing:?} cut by {cuts:?}"
    );
    whole
}

/// Messages that came can be sent and come again, unless they cannot be sent, which is an error.
fn again<F: Decoder + Encoder + Debug>(framing: &F, messages: &[Vec<u8>], most: usize) {
    let (mut stream, mut sent) = (Vec::new(), Found::new());
    for message in messages {
        let mut frame = vec![0xa5; framing.frame_len(message.len())];
        if let Ok(n) = framing.encode(message, &mut frame) {
            stream.extend_from_slice(&frame[..n]);
            sent.push(Ok(message.clone()));
        }
    }
    assert_eq!(
        decode(framing, &[&stream], usize::MAX),
        sent,
        "{framing:?} of its own"
    );
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(
        decode(framing, &bytes, most),
        sent,
        "{framing:?} of its own, byte by byte"
    );
}

/// What comes out of these pieces; of an incomplete message less than `most` bytes are held.
fn decode<F: Decoder + Debug>(framing: &F, pieces: &[&[u8]], most: usize) -> Found {
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
        assert!(
            window.is_empty() || window.len() < most,
            "{framing:?} holds {}",
            window.len()
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
                assert!(message.end <= frame, "a message within its frame");
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
        assert!(
            0 < consumed && consumed <= window.len(),
            "it goes on, and no further"
        );
        window.drain(..consumed);
    }
}

/// Its messages are coded: what can be decoded is sent again, and comes again decoded.
fn cobs(framing: &Cobs, stream: &[u8], cuts: [u8; 3]) {
    let most = framing.max_frame();
    let mut plain = [0; 32];
    let found = same_at_every_cut(framing, stream, cuts, most + 1);
    for coded in found.iter().flatten() {
        let Ok(message) = framing.unstuff(coded, &mut plain) else {
            continue;
        };
        let mut frame = [0xa5; 64];
        let n = framing
            .encode(message, &mut frame)
            .expect("no longer than the longest");
        let (message, frame) = (message.to_vec(), &frame[..n]);
        let [Ok(coded)] = &decode(framing, &[frame], most + 1)[..] else {
            panic!("{frame:?} is not one message");
        };
        assert_eq!(framing.unstuff(coded, &mut plain), Ok(&message[..]));
    }
}

/// Bytes in time: what comes within the gap is one message, whether it was polled in between or not.
fn gaps(max: usize, stream: &[u8]) {
    const GAP: u64 = 10;
    let framing = IdleGap::new(Duration::from_nanos(GAP), max);
    let mut expected = Vec::<Vec<u8>>::new();
    let (mut idle, mut busy) = (Vec::new(), Vec::new());
    let (mut gap, mut other) = (Progress::default(), Progress::default());
    let (mut looked, mut slept) = (Found::new(), Found::new());
    let mut now = 0;
    for chunk in stream.chunks(3) {
        let wait = u64::from(chunk[0] % 16);
        for look in now..now + wait {
            take(
                &framing,
                &mut gap,
                &mut busy,
                &mut looked,
                Instant::from_nanos(look),
            );
        }
        now += wait;
        match expected.last_mut() {
            Some(last) if wait < GAP => last.extend_from_slice(chunk),
            Some(_) | None => expected.push(chunk.to_vec()),
        }
        let at = Instant::from_nanos(now);
        busy.extend_from_slice(chunk);
        take(&framing, &mut gap, &mut busy, &mut looked, at);
        idle.extend_from_slice(chunk);
        take(&framing, &mut other, &mut idle, &mut slept, at);
        assert!(
            idle.len() <= max && busy.len() <= max,
            "no more than a message is held"
        );
    }
    let (mut last, mut left, mut ended) = (gap, busy.clone(), looked.clone());
    take(&framing, &mut last, &mut left, &mut ended, Instant::NEVER);
    assert!(left.is_empty());
    for (progress, window, found) in [
        (&mut gap, &mut busy, &mut looked),
        (&mut other, &mut idle, &mut slept),
    ] {
        let due = framing.due(progress);
        assert_eq!(
            due,
            (!window.is_empty()).then(|| Instant::from_nanos(now + GAP))
        );
        take(
            &framing,
            progress,
            window,
            found,
            Instant::from_nanos(now + GAP),
        );
        assert!(window.is_empty());
    }
    let expected: Found = expected
        .into_iter()
        .map(|message| match message.len() {
            n if n > max => Err(FrameError::TooLong { max }),
            _ => Ok(message),
        })
        .collect();
    assert_eq!(looked, expected, "polled all the time");
    assert_eq!(slept, expected, "polled when bytes came");
    assert_eq!(ended, expected, "the peer has finished");
}
