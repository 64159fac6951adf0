use super::*;

type Found = Vec<(String, Option<Option<u64>>)>;

/// The messages of a stream that comes in these pieces and ends, and how each was cut.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Found {
    let (mut data, mut progress, mut found) = (Vec::new(), Progress::default(), Found::new());
    let mut take = |data: &mut Vec<u8>, now| loop {
        match Messages.decode(&mut progress, data, now) {
            Decoded::Incomplete => return,
            Decoded::Skipped(n) => {
                assert!(n > 0);
                data.drain(..n);
            }
            Decoded::Message { message, frame } => {
                let text = String::from_utf8(data[message].to_vec()).expect("text");
                found.push((text, progress.cut));
                data.drain(..frame);
            }
            Decoded::Error { error, .. } => panic!("{error}"),
        }
    };
    for piece in pieces {
        data.extend_from_slice(piece);
        take(&mut data, Instant::ZERO);
        assert!(
            data.len() <= MESSAGE + HEAD,
            "it fits into what is received into"
        );
    }
    take(&mut data, Instant::NEVER);
    assert!(data.is_empty(), "nothing is left");
    found
}

#[test]
fn counted_messages_and_lines_at_every_cut() {
    let cases: [(&[u8], &[&str]); 20] = [
        (b"9 <34>hello", &["<34>hello"]),
        (
            b"9 <34>hello11 <34>a\nb\0c d",
            &["<34>hello", "<34>a\nb\0c d"],
        ),
        (b"<34>hello\n", &["<34>hello"]),
        (b"<34>hello\r\n<34>b\n", &["<34>hello\r", "<34>b"]),
        (b"<34>a\0<34>b\0", &["<34>a", "<34>b"]),
        (b"<34>a\0\n<34>b\n\0", &["<34>a", "<34>b"]),
        (b"<34>no end", &["<34>no end"]),
        (
            b"5 <34>a<34>a line\n5 <34>b",
            &["<34>a", "<34>a line", "<34>b"],
        ),
        (
            b"5 <34>a\n5 <34>b\r\n5 <34>c\0",
            &["<34>a", "<34>b", "<34>c"],
        ),
        (
            b"12 monkeys\n2026-11-30 no priority\n",
            &["12 monkeys", "2026-11-30 no priority"],
        ),
        (b"05 <34>a\n0 <34>b\n", &["05 <34>a", "0 <34>b"]),
        (b"12345678901 <34>a\n", &["12345678901 <34>a"]),
        (b"12\n12 \n1", &["12", "12 ", "1"]),
        (b"12", &["12"]),
        (b"12 ", &["12 "]),
        (b"\n\n\r\n\0", &[]),
        (b"", &[]),
        (b"no priority", &["no priority"]),
        (b" 5 <34>a\n", &[" 5 <34>a"]),
        (b"4 <3>", &["<3>"]),
    ];
    for (said, expected) in cases {
        let expected: Found = expected
            .iter()
            .map(|text| ((*text).to_owned(), None))
            .collect();
        let cut = said == b"4 <3>";
        let expected = match cut {
            true => vec![("<3>".to_owned(), Some(Some(4)))],
            false => expected,
        };
        for at in 0..=said.len() {
            let (first, second) = said.split_at(at);
            assert_eq!(read([first, second]), expected, "{said:?} at {at}");
        }
        assert_eq!(read(said.chunks(1)), expected, "{said:?}, byte by byte");
    }
}

#[test]
fn of_one_that_is_too_long_the_beginning_is_kept_and_the_next_is_found() {
    let text = |length: usize| "<".to_owned() + &"x".repeat(length - 1);
    for length in [MESSAGE - 1, MESSAGE, MESSAGE + 1, MESSAGE + 2, 3 * MESSAGE] {
        let kept = text(length.min(MESSAGE));
        let long = length > MESSAGE;
        let after = ("<34>after".to_owned(), None);
        let counted = format!("{length} {}9 <34>after", text(length));
        let lines = format!("{}\n<34>after\n", text(length));
        for step in [1, 100, 1460, MESSAGE] {
            let cut = long.then_some(Some(length as u64));
            let found = read(counted.as_bytes().chunks(step));
            assert_eq!(
                found,
                [(kept.clone(), cut), after.clone()],
                "{length} by {step}"
            );
            let found = read(lines.as_bytes().chunks(step));
            assert_eq!(found[0].0, kept, "{length} by {step}");
            assert_eq!(found[0].1.is_some(), long, "{length} by {step}");
            assert_eq!(
                found[1..],
                *core::slice::from_ref(&after),
                "{length} by {step}"
            );
        }
    }
    // The longest length that is one; the stream ends long before.
    let endless = read([&b"9999999999 <34>a"[..]]);
    assert_eq!(endless, [("<34>a".to_owned(), Some(Some(9_999_999_999)))]);
}
