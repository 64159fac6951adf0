//! The example `syslog_sink` keeps what others log, over UDP, TCP and Unix sockets, as long as it fits.

use core::net::SocketAddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use tests::bounded::{SOON, Watchdog, until};
use tests::net::{Client as _, tcp};
use tests::process::{Folder, Program, run_with};

/// The program over UDP and a Unix socket, and where it shows what it keeps.
struct Sink {
    program: Program,
    path: String,
    udp: SocketAddr,
    show: SocketAddr,
    _folder: Folder,
}

impl Sink {
    fn start() -> Self {
        let folder = Folder::new("log");
        let path = folder.path("log.sock");
        let unix = format!("unix:{path}");
        // Another is a UDP port, which the kernel chooses.
        let arguments = ["--listen", &unix, "--show", "127.0.0.1:0"];
        let program = Program::example("syslog_sink", &arguments);
        let mut addresses: Vec<SocketAddr> = Vec::new();
        until("both addresses", || {
            let output = program.output();
            let whole = output
                .split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'));
            addresses = whole
                .filter_map(|line| line.strip_prefix("listening on ")?.parse().ok())
                .collect();
            addresses.len() == 2
        });
        Self {
            program,
            path,
            udp: addresses[0],
            show: addresses[1],
            _folder: folder,
        }
    }

    /// What is kept now.
    fn shown(&self) -> String {
        String::from_utf8(tcp(self.show).rest()).expect("ASCII")
    }

    /// Waits until so many lines are kept.
    fn lines(&self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        until("all lines", || {
            lines = self.shown().lines().map(ToOwned::to_owned).collect();
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }

    fn says(self, summary: &str) {
        let path = self.path;
        let ended = self.program.stop();
        assert_eq!(ended.code, Some(0));
        assert!(ended.output.ends_with(summary), "{}", ended.output);
        assert!(!std::fs::exists(path).expect("a look"), "it is removed");
    }
}

#[test]
fn a_message_is_a_line_with_its_priority_whatever_is_in_it() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let unix = UnixDatagram::unbound().expect("a socket");
    let cases: [(&[u8], &str); 12] = [
        (b"<34>su: no", "auth.crit 127.0.0.1 su: no"),
        (b"<0>x", "kern.emerg 127.0.0.1 x"),
        (b"<191>x\n", "local7.debug 127.0.0.1 x"),
        (b"<192>x", "user.notice 127.0.0.1 <192>x"),
        (b"<0034>x", "user.notice 127.0.0.1 <0034>x"),
        (b"<+3>x", "user.notice 127.0.0.1 <+3>x"),
        (b"<>x", "user.notice 127.0.0.1 <>x"),
        (b"<3", "user.notice 127.0.0.1 <3"),
        (b"", "user.notice 127.0.0.1 "),
        (
            b"a\nb\x1b[2J\xff\\",
            r"user.notice 127.0.0.1 a\x0ab\x1b[2J\xff\x5c",
        ),
        (
            b"<13>1 - h a - - - m\0",
            "user.notice 127.0.0.1 1 - h a - - - m",
        ),
        (b"<6>\n\n", "kern.info 127.0.0.1 "),
    ];
    for (message, _) in cases {
        udp.send_to(message, sink.udp).expect("sent");
    }
    let lines = sink.lines(cases.len());
    for ((_, expected), line) in cases.iter().zip(lines) {
        assert_eq!(line, *expected);
    }
    unix.send_to(b"<46>here", &sink.path).expect("sent");
    let long = [b'y'; 9000];
    unix.send_to(&long, &sink.path).expect("sent");
    let lines = sink.lines(cases.len() + 2);
    assert_eq!(lines[cases.len()], "syslog.info unix here");
    let kept = &lines[cases.len() + 1];
    assert!(kept.ends_with("yy [cut, it had 9000 bytes]"), "{kept}");
    sink.says("14 messages, 1 cut, 0 no longer kept\n");
}

#[test]
fn the_oldest_go_first_and_are_counted() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let unix = UnixDatagram::unbound().expect("a socket");
    let text = "z".repeat(979);
    // Each is a line of 1,000 bytes. A Unix sender waits for buffer capacity: none is lost on the way.
    for number in 0..300 {
        let message = format!("{number:03}{text}");
        unix.send_to(message.as_bytes(), &sink.path).expect("sent");
    }
    let mut lines = Vec::new();
    until("the last line", || {
        lines = sink.shown().lines().map(ToOwned::to_owned).collect();
        lines.last().is_some_and(|line| line.contains(" 299"))
    });
    assert_eq!(lines.len(), 262, "256 KiB of them");
    assert!(
        lines[0].starts_with("user.notice unix 038z"),
        "{}",
        lines[0]
    );
    sink.says("300 messages, 0 cut, 38 no longer kept\n");
}

#[test]
fn a_reader_that_is_too_slow_learns_what_it_lost_and_delays_nothing() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let unix = UnixDatagram::unbound().expect("a socket");
    let text = "z".repeat(980);
    let fill = |tag: char| {
        for number in 0..300 {
            let message = format!("{tag}{number:02}{text}");
            unix.send_to(message.as_bytes(), &sink.path).expect("sent");
        }
    };
    fill('a');
    until("the last line", || sink.shown().contains(" a299"));
    // Small buffers in between, so most of it has to wait.
    let mut slow = narrow(sink.show);
    slow.hear(b"user.notice unix a");
    fill('b');
    until("the last line", || sink.shown().contains(" b299"));
    let rest = String::from_utf8(slow.rest()).expect("ASCII");
    let told = rest.lines().last().expect("a line");
    assert!(
        told.ends_with("bytes went before they were read]"),
        "{told}"
    );
    assert!(!rest.contains("unix b"), "what came later is not for it");
}

#[test]
fn over_tcp_messages_are_counted_or_lines() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let mut sender = tcp(sink.udp);
    sender.say(b"14 <34>su: counted<35>a line\r\n<36>b\0\n\n9 <37>a\nb\t\n12 monkeys\n");
    // What has no end yet is none, and holds nothing up.
    sender.say(b"<38>in pieces");
    let lines = sink.lines(5);
    assert_eq!(
        lines,
        [
            "auth.crit 127.0.0.1 su: counte",
            "user.notice 127.0.0.1 d<35>a line",
            "auth.warning 127.0.0.1 b",
            r"auth.notice 127.0.0.1 a\x0ab",
            "user.notice 127.0.0.1 12 monkeys",
        ]
    );
    sender.say(b", but whole\n");
    let mut other = tcp(sink.udp);
    other.say(b"<39>no end");
    other.finish();
    assert_eq!(other.rest(), b"");
    sink.lines(7);
    // The beginning of one that is too long, and the next.
    let long = "z".repeat(9000);
    sender.say(format!("9004 <34>{long}<34>{long}\n<34>after\n").as_bytes());
    sender.finish();
    assert_eq!(sender.rest(), b"");
    let lines = sink.lines(10);
    assert_eq!(lines[5], "auth.info 127.0.0.1 in pieces, but whole");
    assert_eq!(lines[6], "auth.debug 127.0.0.1 no end");
    assert!(
        lines[7].ends_with("zz [cut, it had 9004 bytes]"),
        "{}",
        lines[7]
    );
    assert!(lines[8].contains("zz [cut, it "), "{}", lines[8]);
    let kept = lines[7].bytes().filter(|byte| *byte == b'z').count();
    assert_eq!(kept, 8192 - 4);
    assert_eq!(lines[9], "auth.crit 127.0.0.1 after");
    sink.says("10 messages, 2 cut, 0 no longer kept\n");
}

#[test]
fn a_full_table_accepts_those_that_send_again_and_none_loses_what_it_sent() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let mut senders = Vec::new();
    for n in 0..40 {
        let mut sender = tcp(sink.udp);
        sender.say(format!("<34>message {n}\n").as_bytes());
        sink.lines(n + 1);
        senders.push(sender);
    }
    sink.says("40 messages, 0 cut, 0 no longer kept\n");
}

#[test]
fn a_reader_that_sends_nothing_is_sent_all() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let mut sender = tcp(sink.udp);
    let text = "z".repeat(979);
    for number in 0..250 {
        sender.say(format!("{number:03}{text}\n").as_bytes());
    }
    sink.lines(250);
    // More than lies in the buffers between.
    let mut reader = narrow(sink.show);
    reader.finish();
    // That it has ended is known when another has been shown all.
    sink.lines(250);
    let shown = String::from_utf8(reader.rest()).expect("ASCII");
    assert_eq!(shown.lines().count(), 250);
}

#[test]
fn without_tcp_there_is_no_listener() {
    let _bound = Watchdog::new();
    let arguments = ["--show", "127.0.0.1:0", "--tcp", "off"];
    let program = Program::example("syslog_sink", &arguments);
    assert!(TcpStream::connect(program.address()).is_err());
    assert_eq!(program.stop().code, Some(0));
}

/// Connects with the smallest possible receive buffer.
fn narrow(to: SocketAddr) -> TcpStream {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("a socket");
    sockopt::set_socket_recv_buffer_size(&socket, 4096).expect("SO_RCVBUF");
    connect(&socket, &to).expect("connected");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
    stream
}

/// What `logger` of util-linux sends.
fn logger(arguments: &[&str], input: &str) {
    let mut logger = Command::new("logger");
    let ended = run_with(logger.args(arguments), input.as_bytes());
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
}

#[test]
#[ignore = "needs logger"]
fn logger_is_understood_in_either_format_over_each_socket() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let port = sink.udp.port().to_string();
    let udp = ["--server", "127.0.0.1", "--udp", "--port", &port];
    let unix = ["--socket", &sink.path];
    let lines = ["--server", "127.0.0.1", "--tcp", "--port", &port];
    let counted = [&lines[..], &["--octet-count"]].concat();
    let mut expected = Vec::new();
    for (to, from) in [
        (&udp[..], "127.0.0.1"),
        (&unix[..], "unix"),
        (&lines, "127.0.0.1"),
        (&counted, "127.0.0.1"),
    ] {
        for format in ["--rfc3164", "--rfc5424"] {
            let what = ["--priority", "local3.warning", "--tag", "pump", format];
            logger(&[to, &what[..], &["pressure low"]].concat(), "");
            expected.push((from, format));
        }
    }
    let lines = sink.lines(expected.len());
    for ((from, format), line) in expected.iter().zip(&lines) {
        let head = format!("local3.warning {from} ");
        let rest = line.strip_prefix(&head).unwrap_or_else(|| panic!("{line}"));
        assert!(
            rest.contains("pump") && rest.ends_with("pressure low"),
            "{line}"
        );
        assert_eq!(rest.starts_with("1 20"), *format == "--rfc5424", "{line}");
    }
    sink.says("8 messages, 0 cut, 0 no longer kept\n");
}

#[test]
#[ignore = "needs logger"]
fn long_messages_of_logger_come_whole_or_are_marked_as_truncated() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let port = sink.udp.port().to_string();
    let text = "x".repeat(12_000);
    for (size, kept) in [("1KiB", 1024), ("4KiB", 4096), ("10KiB", 10_240)] {
        let to = ["--server", "127.0.0.1", "--udp", "--port", &port];
        let what = ["--rfc3164", "--tag", "t", "--size", size];
        logger(&[&to[..], &what, &[&text[..kept]]].concat(), "");
    }
    let lines = sink.lines(3);
    let xs = |line: &str| line.bytes().filter(|byte| *byte == b'x').count();
    assert_eq!([xs(&lines[0]), xs(&lines[1])], [1024, 4096]);
    assert!(lines[2].contains(" [cut, it had 10"), "{}", lines[2]);
    assert!(xs(&lines[2]) > 8_000);
    sink.says("3 messages, 1 cut, 0 no longer kept\n");
}

#[test]
#[ignore = "needs logger"]
fn of_a_burst_of_logger_that_fits_nothing_is_lost() {
    let _bound = Watchdog::new();
    let sink = Sink::start();
    let port = sink.udp.port().to_string();
    let burst =
        |count: u32| -> String { (0..count).map(|n| format!("message {n:04}\n")).collect() };
    // What the kernel holds of UDP by default is some 270 datagrams; over a Unix socket a sender waits.
    let udp = ["--server", "127.0.0.1", "--udp", "--port", &port];
    let tag = ["--rfc3164", "--tag", "burst"];
    logger(&[&udp[..], &tag].concat(), &burst(250));
    sink.lines(250);
    logger(
        &[&["--socket", &sink.path][..], &tag].concat(),
        &burst(2000),
    );
    sink.lines(2250);
    // Over TCP the kernel has one wait, too.
    let tcp = ["--server", "127.0.0.1", "--tcp", "--port", &port];
    logger(&[&tcp[..], &tag, &["--octet-count"]].concat(), &burst(500));
    sink.lines(2750);
    logger(&[&tcp[..], &tag].concat(), &burst(500));
    let lines = sink.lines(3250);
    let sent = (0..250).chain(0..2000).chain(0..500).chain(0..500);
    for (n, line) in sent.zip(&lines) {
        assert!(line.ends_with(&format!("message {n:04}")), "{line}");
    }
    sink.says("3250 messages, 0 cut, 0 no longer kept\n");
}
