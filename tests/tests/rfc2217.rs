//! The telnet and RFC 2217 of the example `serial_bridge`: its pure half in every segmentation, and the whole of it over a
//! pseudo-terminal.

#[path = "../../linux/examples/serial_bridge/rfc2217.rs"]
#[expect(dead_code, reason = "what a step asks for is the bridge's to do")]
mod rfc2217;
#[path = "../../linux/examples/serial_bridge/telnet.rs"]
mod telnet;

use core::net::SocketAddr;
use rfc2217::{
    Command as Wish, Reply, Step, Switched, line_changed, line_now, modem_changed, modem_now, step,
};
use rustix::termios::{ControlModes, InputModes, tcgetattr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use telnet::{
    AYT, BINARY, BRK, COM_PORT, DO, DONT, ECHO, Event, IAC, LONGEST, Options, Parser, SB, SE, SGA,
    WILL, WONT, escape,
};
use tests::bounded::{Watchdog, until};
use tests::net::{Client as _, tcp};
use tests::process::{Program, example, run_with};
use tests::terminal::terminal;
use tidegate::{Bits, Counts, Flow, Modem, Parity, Serial};

/// An event that owns its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    Data(Vec<u8>),
    Option(u8, u8),
    Command(u8),
    Sub(Vec<u8>),
}

/// What a parser makes of `pieces`, with at most `limit` bytes of data at a time; data that follows data is one.
fn parse(pieces: &[&[u8]], limit: usize, binary: bool) -> Vec<Heard> {
    let (mut parser, mut all) = (Parser::new(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (n, event) = parser.next(rest, limit, binary);
            rest = &rest[n..];
            match (event, all.last_mut()) {
                (Event::Nothing, _) => break,
                (Event::Data(more), Some(Heard::Data(data))) => data.extend(more),
                (Event::Data(data), _) => all.push(Heard::Data(data.into())),
                (Event::Option(verb, option), _) => all.push(Heard::Option(verb, option)),
                (Event::Command(command), _) => all.push(Heard::Command(command)),
                (Event::Sub(sub), _) => all.push(Heard::Sub(sub.into())),
            }
        }
        assert!(rest.is_empty(), "nothing is left over");
    }
    all
}

/// The same events, however the input is cut and the line's capacity is.
#[track_caller]
fn means(input: &[u8], binary: bool, expected: &[Heard]) {
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    for limit in [1, 2, 3, usize::MAX] {
        assert_eq!(parse(&[input], limit, binary), expected);
        assert_eq!(parse(&bytes, limit, binary), expected, "byte by byte");
        for at in 0..=input.len() {
            let (one, other) = input.split_at(at);
            assert_eq!(parse(&[one, other], limit, binary), expected, "cut at {at}");
        }
    }
}

#[test]
fn telnet_is_taken_apart_alike_however_it_is_cut() {
    let data = |bytes: &[u8]| Heard::Data(bytes.into());
    means(b"", true, &[]);
    means(b"plain \0\r\n bytes", true, &[data(b"plain \0\r\n bytes")]);
    means(
        &[1, IAC, IAC, IAC, IAC, 2],
        true,
        &[data(&[1, 255, 255, 2])],
    );
    means(
        &[
            b'a', IAC, WILL, BINARY, b'b', IAC, DONT, 99, IAC, BRK, IAC, AYT, b'c',
        ],
        true,
        &[
            data(b"a"),
            Heard::Option(WILL, BINARY),
            data(b"b"),
            Heard::Option(DONT, 99),
            Heard::Command(BRK),
            Heard::Command(AYT),
            data(b"c"),
        ],
    );
    means(
        &[b'a', IAC, SB, COM_PORT, 1, 0, IAC, IAC, 0xc2, IAC, SE, b'b'],
        true,
        &[
            data(b"a"),
            Heard::Sub(vec![COM_PORT, 1, 0, 255, 0xc2]),
            data(b"b"),
        ],
    );
    // One that another command cuts off is nothing; that command is what it is.
    means(
        &[IAC, SB, COM_PORT, 1, IAC, WILL, SGA, b'a'],
        true,
        &[Heard::Option(WILL, SGA), data(b"a")],
    );
    means(
        &[IAC, SB, IAC, SE, b'a'],
        true,
        &[Heard::Sub(vec![]), data(b"a")],
    );
}

#[test]
fn without_binary_a_nul_after_a_return_is_left_out() {
    let data = |bytes: &[u8]| [Heard::Data(bytes.into())];
    means(b"a\r\0b\r\nc\rd\0e", false, &data(b"a\rb\r\nc\rd\0e"));
    means(b"\r\r\0\0", false, &data(b"\r\r\0"));
    means(&[b'\r', IAC, IAC, 0], false, &data(&[b'\r', 255, 0]));
}

#[test]
fn a_subnegotiation_that_is_too_long_is_left_out_whole() {
    for (len, kept) in [(LONGEST, true), (LONGEST + 1, false), (100_000, false)] {
        let mut input = vec![IAC, SB];
        input.extend(vec![7; len]);
        input.extend([IAC, SE, b'a']);
        let heard = parse(&[&input], usize::MAX, true);
        let expected = kept.then(|| Heard::Sub(vec![7; len]));
        let expected: Vec<_> = expected
            .into_iter()
            .chain([Heard::Data(b"a".into())])
            .collect();
        assert!(heard == expected, "{len}");
    }
}

#[test]
fn what_is_escaped_comes_out_as_it_was_whatever_the_capacity() {
    let all: Vec<u8> = (0..=255).chain([255, 255, 0, 255]).collect();
    for capacity in 0..all.len() + 8 {
        let mut wire = Vec::new();
        let taken = escape(&all, capacity, |piece| wire.extend(piece));
        assert!(wire.len() <= capacity, "{} into {capacity}", wire.len());
        assert!(capacity < 2 || taken > 0);
        let expected: Vec<Heard> = match taken {
            0 => vec![],
            n => vec![Heard::Data(all[..n].into())],
        };
        assert_eq!(parse(&[&wire], usize::MAX, true), expected);
    }
    assert_eq!(escape(&[IAC], 1, |_| panic!("half of it")), 0);
}

#[test]
fn options_are_agreed_upon_and_an_end_comes_to_it() {
    let mut options = Options::offered();
    assert!(!options.receives_binary() && !options.has_port());
    // pyserial's negotiation.
    for (verb, option, reply) in [
        (DO, ECHO, None),
        (WILL, SGA, None),
        (DO, SGA, None),
        (WILL, COM_PORT, None),
        (DO, COM_PORT, Some(WILL)),
        (WILL, BINARY, None),
        (DO, BINARY, None),
        // Again: nothing new.
        (DO, COM_PORT, None),
        (WILL, BINARY, None),
        // What we do not know, or want.
        (WILL, 24, Some(DONT)),
        (DO, 24, Some(WONT)),
        (WONT, 24, None),
        (DONT, 24, None),
        (WILL, ECHO, Some(DONT)),
    ] {
        let said = reply.map(|verb| [IAC, verb, option]);
        assert_eq!(options.hear(verb, option), said, "{verb} {option}");
    }
    assert!(options.receives_binary() && options.has_port());
    assert_eq!(options.hear(WONT, BINARY), Some([IAC, DONT, BINARY]));
    assert!(!options.receives_binary());
    // Two of our kind terminate, whatever either begins with.
    for verb in [WILL, WONT, DO, DONT] {
        for option in 0..=255 {
            let mut sides = [Options::offered(), Options::offered()];
            let (mut said, mut turns) = (Some((verb, option)), 0);
            while let Some((verb, option)) = said {
                let reply = sides[turns % 2].hear(verb, option);
                said = reply.map(|[_, verb, option]| (verb, option));
                turns += 1;
                assert!(turns < 4, "{verb} {option}");
            }
        }
    }
}

const NOW: Serial<'static> = Serial::at("");
const WIRES: Switched = Switched {
    dtr: true,
    rts: false,
    broken: false,
};

/// What is set, and the replies of success and failure; or the immediate reply.
fn asked(
    command: u8,
    value: &[u8],
    now: &Serial<'static>,
) -> (Option<Serial<'static>>, Vec<Reply>) {
    let sub = [&[COM_PORT, command], value].concat();
    let wish = Wish::of(&sub).expect("a command");
    match step(wish, now, WIRES) {
        Step::Set { to, taken, refused } => (Some(to), vec![taken, refused]),
        Step::Reply(reply) | Step::Switch { reply, .. } | Step::Purge { reply, .. } => {
            (None, vec![reply])
        }
        Step::Notify(_, reply) => (None, reply.into_iter().collect()),
        Step::Nothing => (None, vec![]),
    }
}

#[test]
fn the_speed_is_set_or_asked_for() {
    let speed = 250_000_u32.to_be_bytes();
    let (set, replies) = asked(1, &speed, &NOW);
    assert_eq!(set.map(|set| set.speed), Some(250_000));
    assert_eq!(replies, [Reply::Word(1, 250_000), Reply::Word(1, 9600)]);
    let (set, replies) = asked(1, &[0; 4], &NOW);
    assert!(set.is_none());
    assert_eq!(replies, [Reply::Word(1, 9600)]);
    // What means something in telnet is doubled.
    let bytes = Reply::Word(1, 0xff00_ffff).bytes();
    let expected = [
        IAC, SB, COM_PORT, 101, 255, 255, 0, 255, 255, 255, 255, IAC, SE,
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn every_value_of_a_setting_is_set_and_every_other_returns_what_is_set() {
    let parity = |serial: Serial<'_>| match serial.parity {
        Parity::None => 1,
        Parity::Odd => 2,
        Parity::Even => 3,
        Parity::Mark => 4,
        Parity::Space => 5,
    };
    let bits = |serial: Serial<'_>| match serial.bits {
        Bits::Five => 5,
        Bits::Six => 6,
        Bits::Seven => 7,
        Bits::Eight => 8,
    };
    type Value = fn(Serial<'_>) -> u8;
    let settings: [(u8, &[u8], u8, Value); 3] = [
        (2, &[5, 6, 7, 8], 8, bits),
        (3, &[1, 2, 3, 4, 5], 1, parity),
        (4, &[1, 2], 1, |serial| 1 + u8::from(serial.two_stop_bits)),
    ];
    for (command, values, now, value_of) in settings {
        for value in 0..=255 {
            let (set, replies) = asked(command, &[value], &NOW);
            if values.contains(&value) {
                assert_eq!(set.map(value_of), Some(value), "{command}");
                assert_eq!(
                    replies,
                    [Reply::Byte(command, value), Reply::Byte(command, now)]
                );
            } else {
                assert!(set.is_none(), "{command} {value}");
                assert_eq!(replies, [Reply::Byte(command, now)]);
            }
        }
    }
    let five = Serial {
        bits: Bits::Five,
        ..NOW
    };
    let (set, replies) = asked(4, &[3], &five);
    assert!(set.is_some_and(|set| set.two_stop_bits));
    assert_eq!(replies[0], Reply::Byte(4, 3));
}

#[test]
fn controls_return_what_is_set_then() {
    let flow = |flow| Serial { flow, ..NOW };
    for (value, expected) in [
        (1, Flow::None),
        (2, Flow::Software),
        (3, Flow::Hardware),
        (14, Flow::None),
        (15, Flow::Software),
        (16, Flow::Hardware),
    ] {
        let (set, replies) = asked(5, &[value], &flow(Flow::Software));
        assert_eq!(set.map(|set| set.flow), Some(expected));
        assert_eq!(replies, [Reply::Byte(5, value), Reply::Byte(5, 2)]);
    }
    for (value, reply) in [
        (0, 3),
        (13, 16),
        (4, 6),
        (7, 8),
        (10, 12),
        (5, 5),
        (6, 6),
        (8, 8),
        (9, 9),
        (11, 11),
        (12, 12),
        (17, 3),
        (200, 3),
    ] {
        let (set, replies) = asked(5, &[value], &flow(Flow::Hardware));
        assert!(set.is_none());
        assert_eq!(replies, [Reply::Byte(5, reply)], "{value}");
    }
    for (command, value, replies) in [
        (10, 3, vec![Reply::Byte(10, 3)]),
        (11, 9, vec![Reply::Byte(11, 9)]),
        (12, 1, vec![Reply::Byte(12, 1)]),
        (12, 3, vec![Reply::Byte(12, 3)]),
        (8, 0, vec![]),
        (9, 0, vec![]),
    ] {
        assert_eq!(asked(command, &[value], &NOW), (None, replies));
    }
    assert_eq!(asked(0, b"", &NOW), (None, vec![Reply::Signature]));
    assert_eq!(asked(0, b"its own", &NOW), (None, vec![]));
}

#[test]
fn what_is_cut_or_unknown_is_no_command() {
    for sub in [
        &[][..],
        &[COM_PORT],
        &[24, 0],
        &[COM_PORT, 1, 0, 0, 1],
        &[COM_PORT, 2],
        &[COM_PORT, 13, 1],
        &[COM_PORT, 101, 0, 0, 0, 1],
        &[COM_PORT, 255],
    ] {
        assert_eq!(Wish::of(sub), None, "{sub:?}");
    }
}

#[test]
fn a_change_of_the_wires_is_reported_to_a_client_that_asked_for_it() {
    let quiet = Modem::default();
    let there = Modem {
        cts: true,
        cd: true,
        ..quiet
    };
    let told = |before, now, mask| modem_changed(before, now, mask);
    assert_eq!(
        told(None, there, 255),
        Some(Reply::Byte(7, 0x90)),
        "at first"
    );
    assert_eq!(told(Some(there), there, 255), None);
    assert_eq!(told(Some(quiet), there, 255), Some(Reply::Byte(7, 0x99)));
    assert_eq!(told(Some(quiet), there, 0x08), Some(Reply::Byte(7, 0x08)));
    assert_eq!(told(Some(quiet), there, 0x02), None, "of DSR only");
    assert_eq!(told(Some(quiet), there, 0), None);
    let rings = Modem { ri: true, ..quiet };
    assert_eq!(told(Some(rings), quiet, 255), Some(Reply::Byte(7, 0x04)));
    assert_eq!(told(Some(quiet), rings, 255), Some(Reply::Byte(7, 0x40)));
    assert_eq!(modem_now(rings), Reply::Byte(7, 0x40));
    let clean = Counts::default();
    let noisy = Counts {
        parity: 1,
        breaks: 2,
        ..clean
    };
    assert_eq!(line_changed(clean, noisy, 255), Some(Reply::Byte(6, 0x14)));
    assert_eq!(line_changed(clean, noisy, 0x10), Some(Reply::Byte(6, 0x10)));
    assert_eq!(line_changed(clean, noisy, 0), None);
    assert_eq!(line_now(noisy, noisy), Reply::Byte(6, 0));
}

/// A bridge whose clients use telnet, its line, and its address.
fn port(arguments: &[&str]) -> (Program, File, SocketAddr) {
    let (far, path) = terminal();
    let mut command = Command::new(example("serial_bridge"));
    command.args(["--device", &path, "--rfc2217", "127.0.0.1:0"]);
    let mut bridge = Program::spawn(command.args(arguments));
    let line = bridge.wait_for("rfc2217 listening on ");
    let (_, address) = line.rsplit_once(' ').expect("an address");
    bridge.wait_for(": open");
    (bridge, far, address.parse().expect("an address"))
}

/// A client of it that has received the offer.
fn client(address: SocketAddr) -> TcpStream {
    let mut client = tcp(address);
    client.hear(&Options::OFFER);
    client
}

fn sub(command: u8, value: &[u8]) -> Vec<u8> {
    [&[IAC, SB, COM_PORT, command], value, &[IAC, SE]].concat()
}

#[test]
fn a_client_sets_the_line_in_the_midst_of_its_data_and_the_next_finds_it_as_it_was() {
    let _bound = Watchdog::new();
    let (_bridge, mut far, address) = port(&[]);
    let mut one = client(address);
    let speed = 250_000_u32.to_be_bytes();
    let all = [
        &[IAC, WILL, BINARY, b'a', IAC, IAC][..],
        &sub(1, &speed),
        b"b",
        &sub(4, &[2]),
        &sub(5, &[2]),
        b"c",
    ];
    for byte in all.concat() {
        one.say(&[byte]);
    }
    let mut heard = [0; 4];
    far.read_exact(&mut heard).expect("bytes");
    assert_eq!(heard, [b'a', 255, b'b', b'c']);
    let replies = [sub(101, &speed), sub(104, &[2]), sub(105, &[2])];
    one.hear(&replies.concat());
    let set = tcgetattr(&far).expect("settings");
    assert_eq!(set.output_speed(), 250_000);
    assert!(set.control_modes.contains(ControlModes::CSTOPB));
    assert!(set.input_modes.contains(InputModes::IXON));
    far.write_all(&[1, 255, 2]).expect("capacity");
    one.hear(&[1, 255, 255, 2]);
    drop(one);
    until("the line is as it was", || {
        tcgetattr(&far).expect("settings").output_speed() == 9600
    });
}

#[test]
fn a_query_returns_what_is_set_and_a_missing_wire_is_no_error() {
    let _bound = Watchdog::new();
    let (_bridge, mut far, address) = port(&["--format", "7E2", "--speed", "300"]);
    let mut one = client(address);
    for (command, value, reply) in [
        (1, &[0; 4][..], 300_u32.to_be_bytes().to_vec()),
        (2, &[0], vec![7]),
        (3, &[0], vec![3]),
        (4, &[0], vec![2]),
        // A pseudo-terminal has no parity and no wires.
        (3, &[4], vec![4]),
        (5, &[9], vec![9]),
        (5, &[7], vec![9]),
        (5, &[11], vec![11]),
        (5, &[5], vec![5]),
        (5, &[4], vec![5]),
        (12, &[3], vec![3]),
    ] {
        one.say(&sub(command, value));
        one.hear(&sub(command + 100, &reply));
    }
    one.say(&sub(7, &[]));
    one.say(&[IAC, DO, COM_PORT]);
    one.hear(&[IAC, WILL, COM_PORT]);
    one.say(&sub(7, &[]));
    // CTS, DSR and CD count as on where there are none.
    one.hear(&[sub(107, &[0xb0]), sub(106, &[0])].concat());
    // It wants no data for now: the line holds it.
    one.say(&sub(8, &[]));
    one.say(&sub(12, &[1]));
    one.hear(&sub(112, &[1]));
    far.write_all(b"later").expect("capacity");
    one.say(&sub(3, &[0]));
    one.hear(&sub(103, &[4]));
    one.say(&sub(9, &[]));
    one.hear(b"later");
}

#[test]
#[ignore = "needs python3-serial"]
fn pyserial() {
    let _bound = Watchdog::new();
    let (_bridge, mut far, address) = port(&[]);
    let script = "
import serial, sys
port = serial.serial_for_url(sys.argv[1], baudrate=57600, bytesize=7, parity='M', stopbits=2, timeout=5)
port.write(bytes(range(256)))
assert port.read(256) == bytes(range(256))[::-1]
for parity in 'NEOMS':
    port.parity = parity
for rate in (50, 115200, 250000, 1000000):
    port.baudrate = rate
port.bytesize, port.stopbits = 8, 1
port.xonxoff = True
port.xonxoff, port.rtscts = False, True
port.rtscts = False
port.dtr, port.rts = False, False
port.dtr, port.rts = True, True
port.break_condition = True
port.break_condition = False
port.reset_input_buffer(); port.reset_output_buffer()
assert port.cts and port.dsr and port.cd and not port.ri
port.write(b'end')
port.close()
print('well')
";
    let url = format!("rfc2217://{address}?poll_modem");
    let replies = std::thread::spawn(move || {
        let mut heard = [0; 256];
        far.read_exact(&mut heard).expect("bytes");
        let expected: Vec<u8> = (0..=255).collect();
        assert!(heard[..] == expected[..], "{heard:?}");
        heard.reverse();
        far.write_all(&heard).expect("capacity");
        let mut end = [0; 3];
        far.read_exact(&mut end).expect("bytes");
        assert_eq!(&end, b"end");
    });
    let mut command = Command::new("/usr/bin/python3");
    let ended = run_with(command.args(["-c", script, &url]), b"");
    assert_eq!(ended.output, "well\n", "{}", ended.errors);
    replies.join().expect("what was said");
}
