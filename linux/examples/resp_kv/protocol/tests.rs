extern crate alloc;

use super::*;
use alloc::vec::Vec as List;

/// All commands and the error at the end, of a stream that comes in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> List<String<200>> {
    let (mut data, mut progress, mut words) = (List::new(), Progress::default(), Words::new());
    let mut found = List::new();
    for piece in pieces {
        data.extend_from_slice(piece);
        loop {
            let text = match Resp.decode(&mut progress, &data, Instant::ZERO) {
                Decoded::Incomplete | Decoded::Skipped(_) => break,
                Decoded::Error { .. } => {
                    found.push(told(progress.error()));
                    return found;
                }
                Decoded::Message { message, frame } => {
                    let text = match words.split(&data[message]) {
                        Ok(words) => shown(words),
                        Err(why) => {
                            found.push(told(why));
                            return found;
                        }
                    };
                    data.drain(..frame);
                    text
                }
            };
            found.push(text);
        }
    }
    found
}

fn told(why: ProtocolError) -> String<200> {
    let mut text = String::new();
    fmt::write(&mut text, format_args!("{why}")).expect("short");
    text
}

fn shown(words: Arguments<'_>) -> String<200> {
    let mut text = String::new();
    for word in words.from(0) {
        fmt::write(&mut text, format_args!("[{}]", Escaped(word))).expect("short");
    }
    text
}

/// What redis 7.0.15 makes of each, but for the limits and `; closed`.
#[test]
fn what_redis_makes_of_it_at_every_cut() {
    let array = |words: usize| {
        let mut text = format!("*{words}\r\n").into_bytes();
        text.extend(b"$1\r\na\r\n".repeat(words));
        text
    };
    let all = "[a]".repeat(40);
    let error = |text: &str| format!("ERR Protocol error: {text}; closed");
    let cases: [(&[u8], &[&str]); 32] = [
        (
            b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nPING\r\n",
            &["[ECHO][hi]", "[PING]"],
        ),
        (b"*0\r\n*1\r\n$4\r\nPING\r\n", &["", "[PING]"]),
        (b"*-1\r\n*-5\r\nPING\r\n", &["", "", "[PING]"]),
        (b"\r\n\n PING \r\n", &["", "", "[PING]"]),
        (&array(40), &[&all]),
        (b"a \"b c\" 'd e'\n", &["[a][b c][d e]"]),
        (
            b"a\"b c\" \"\" ''\n",
            &["[a][b c][][]"].map(|_| "[ab c][][]"),
        ),
        (
            b"\"\\x41\\n\\r\\t\\b\\a\\q\\\\\\\"\"\n",
            &[r#"[A\x0a\x0d\x09\x08\x07q\x5c"]"#],
        ),
        (b"\"\\x4\" \"\\xg1\" \"\\xff\"\n", &[r"[x4][xg1][\xff]"]),
        (b"'a\\'b' 'a\\nb'\n", &[r"[a'b][a\x5cnb]"]),
        (b"a\0b\x0bc\n", &["[a][b][c]"]),
        (b"\"a\n", &[&error("unbalanced quotes in request")]),
        (b"'a\n", &[&error("unbalanced quotes in request")]),
        (b"\"a\\\n", &[&error("unbalanced quotes in request")]),
        (b"\"a\"b\n", &[&error("unbalanced quotes in request")]),
        (b"'a'b\n", &[&error("unbalanced quotes in request")]),
        (b"*x\r\n", &[&error("invalid multibulk length")]),
        (b"*\r\n", &[&error("invalid multibulk length")]),
        (b"*01\r\n", &[&error("invalid multibulk length")]),
        (b"*+1\r\n", &[&error("invalid multibulk length")]),
        (b"*-0\r\n", &[&error("invalid multibulk length")]),
        (b"*2147483648\r\n", &[&error("invalid multibulk length")]),
        (
            b"*2147483647\r\n",
            &[&error(
                "invalid multibulk length: at most 666 arguments are taken",
            )],
        ),
        (b"*1\r\nPING\r\n", &[&error("expected '$', got 'P'")]),
        (b"*1\r\n\x01\r\n", &[&error(r"expected '$', got '\x01'")]),
        (b"*1\r\n$-1\r\n", &[&error("invalid bulk length")]),
        (b"*1\r\n$01\r\n", &[&error("invalid bulk length")]),
        (b"*1\r\n$1\r\nxyz", &[&error("invalid bulk length")]),
        (
            b"*1\r\n$99999999999999999999\r\n",
            &[&error("invalid bulk length")],
        ),
        (
            b"*1\r\n$3988\r\n",
            &[&error(
                "invalid bulk length: at most 4000 bytes of a command are taken",
            )],
        ),
        (
            b"*1111111111111111111111111111111111",
            &[&error("too big mbulk count string")],
        ),
        (
            b"*1\r\n$111111111111111111111111111111111",
            &[&error("too big bulk count string")],
        ),
    ];
    for (said, expected) in cases {
        let text = Escaped(said);
        for cut in 0..=said.len() {
            let (first, second) = said.split_at(cut);
            assert_eq!(read([first, second]), expected, "{text} at {cut}");
        }
        assert_eq!(read(said.chunks(1)), expected, "{text}, byte by byte");
    }
}

#[test]
fn the_longest_command_is_taken_and_one_byte_more_is_not() {
    let argument = |length: usize| {
        let head = format!("*1\r\n${length}\r\n");
        [head.as_bytes(), &b"x".repeat(length), b"\r\n"].concat()
    };
    let most = argument(3987);
    assert_eq!(most.len(), COMMAND, "4 + 7 + 3987 + 2");
    for (said, good) in [
        (argument(3987), true),
        (argument(3988), false),
        ([&b"x".repeat(COMMAND)[..], b"\r\n"].concat(), true),
        ([&b"x".repeat(COMMAND + 1)[..], b"\r\n"].concat(), false),
        (b"x".repeat(COMMAND + 2), false),
        (b"a ".repeat(COMMAND / 2), false),
        ([&b"a ".repeat(COMMAND / 2)[..], b"\n"].concat(), true),
    ] {
        let (mut progress, mut words) = (Progress::default(), Words::new());
        let found = Resp.decode(&mut progress, &said, Instant::ZERO);
        match found {
            Decoded::Message { message, frame } => {
                assert!(good && frame == said.len());
                let split = words.split(&said[message]).expect("words");
                let sum: usize = split.from(0).map(<[u8]>::len).sum();
                assert!([3987, COMMAND, COMMAND / 2].contains(&sum), "{sum}");
            }
            Decoded::Incomplete => assert!(said.ends_with(b"a "), "{}", said.len()),
            Decoded::Error { .. } | Decoded::Skipped(_) => assert!(!good, "{}", said.len()),
        }
    }
}

#[test]
fn numbers_are_what_redis_takes_for_one() {
    for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
        assert_eq!(integer(decimal(number).as_bytes()), Some(number));
    }
    for text in [
        "",
        "-",
        "+5",
        "007",
        " 5",
        "5 ",
        "-0",
        "1.0",
        "0x1",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999",
    ] {
        assert_eq!(integer(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn patterns_match_as_in_redis_and_in_bounded_time() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "abc", true),
        ("a*c", "abbc", true),
        ("a*c", "abb", false),
        ("a**c", "ac", true),
        ("h?llo", "hello", true),
        ("h?llo", "hllo", false),
        ("h[ae]llo", "hallo", true),
        ("h[^e]llo", "hello", false),
        ("h[^e]llo", "hallo", true),
        ("h[a-c]llo", "hbllo", true),
        ("h[c-a]llo", "hbllo", true),
        (r"h\[a", "h[a", true),
        (r"h\*", "h*", true),
        (r"h\*", "ha", false),
        (r"[\]]", "]", true),
        ("*key*1*", "some key number 21!", true),
        ("a\\", "a\\", true),
        ("[a", "a", true),
    ] {
        assert_eq!(
            matches(pattern.as_bytes(), text.as_bytes()),
            expected,
            "{pattern} {text}"
        );
    }
    // Would take exponential time if each star tried all with each other.
    let hostile = [&b"*a".repeat(1000)[..], b"b"].concat();
    assert!(!matches(&hostile, &[b'a'; 2000]));
}
