//! A session is the same byte for byte, whatever the backend, and whether it reports by level, by edge or once.

use std::net::TcpStream;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::process::Program;

#[test]
fn print_shows_every_byte() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let mut program = Program::start(&mode.with(&["--service", "print"]));
        let mut client = tcp(program.address());
        let peer = client.local_addr().expect("an address");
        let mut expected = vec![
            format!("listening on {}", program.address()),
            format!("{peer} connected"),
        ];
        program.wait_for(&format!("{peer} connected"));
        let long = [b'x'; 65];
        let said: [(&[u8], &str); 4] = [
            (b"hello", "hello"),
            (b"two\r\nlines\t\\ ~\x7f", r"two\x0d\x0alines\x09\x5c ~\x7f"),
            (b"\x00\xff\xc3\xa9\x1b[2J", r"\x00\xff\xc3\xa9\x1b[2J"),
            (&long, &"x".repeat(64)),
        ];
        for (bytes, shown) in said {
            client.say(bytes);
            let line = format!("{peer} received {} bytes: {shown}", bytes.len());
            program.wait_for(&line);
            expected.push(line);
        }
        client.finish();
        assert_eq!(client.rest(), b"", "print answers nothing");
        let last = program.wait_for(&format!("{peer} closed"));
        let bytes: usize = said.iter().map(|(bytes, _)| bytes.len()).sum();
        let closed = format!("{peer} closed: peer finished; {bytes} bytes in, 0 bytes out, ");
        let seconds = last
            .strip_prefix(&closed)
            .and_then(|rest| rest.strip_suffix(" s"));
        let seconds = seconds.unwrap_or_else(|| panic!("{last:?} after {closed:?}"));
        assert!(
            seconds
                .parse::<f64>()
                .is_ok_and(|n| (0.0..60.0).contains(&n)),
            "{seconds:?}"
        );
        expected.push(last);

        let ended = program.stop();
        let lines: Vec<_> = ended.output.lines().collect();
        let (summary, lines) = lines.split_last().expect("lines");
        assert_eq!(lines, expected, "{mode}");
        assert!(
            summary.starts_with("stopped: 1 connections accepted, 0 refused, 0 evicted; "),
            "{summary}"
        );
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    }
}

#[test]
fn echo_sends_back_every_byte() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let program = Program::start(&mode.with(&["--service", "echo"]));
        let mut client = tcp(program.address());
        let sizes = [1, 2, 255, 256, 4095, 4096, 4097, 16_384, 16_385, 20_000];
        for (n, size) in sizes.into_iter().enumerate() {
            client.echo(&pattern(n as u64, size));
        }
        // More than every window and buffer: the sender has to receive at the same time.
        let long = pattern(77, 3_000_000);
        both_ways(client, &long);
        let ended = program.stop();
        let bytes = long.len() + sizes.iter().sum::<usize>();
        let said = format!(
            "1 connections accepted, 0 refused, 0 evicted; {bytes} bytes in, {bytes} bytes out; "
        );
        assert!(ended.output.contains(&said), "{mode}: {}", ended.output);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    }
}

/// Sends all of it in one thread while another receives it, then EOF.
fn both_ways(mut client: TcpStream, bytes: &[u8]) {
    let mut says = client.try_clone().expect("a descriptor");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            says.say(bytes);
            says.finish();
        });
        assert!(client.rest() == bytes, "another answer than expected");
    });
}

#[test]
fn discard_sends_nothing_and_chat_sends_to_the_others() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let program = Program::start(&mode.with(&["--service", "discard"]));
        let mut client = tcp(program.address());
        client.say(&pattern(1, 100_000));
        client.finish();
        assert_eq!(client.rest(), b"");
        assert!(
            program
                .stop()
                .output
                .contains(" 100000 bytes in, 0 bytes out; ")
        );

        let mut program = Program::start(&mode.with(&["--service", "chat"]));
        let mut clients = [(); 3].map(|()| tcp(program.address()));
        program.statistics_when("open", 3);
        let [one, two, three] = &mut clients;
        one.say(b"half a ");
        one.say(b"line\nand more");
        two.hear(b"half a line\n");
        three.hear(b"half a line\n");
        two.say(b"\xff\n");
        one.hear(b"\xff\n");
        three.hear(b"\xff\n");
        for client in &mut clients {
            client.finish();
            assert_eq!(client.rest(), b"", "nobody hears himself, or half a line");
        }
    }
}
