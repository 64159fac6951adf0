//! The example `modbus_tcp` answers masters that others wrote, and requests that are split, glued, wrong or endless.

use core::net::Ipv4Addr;
use std::io::Read;
use std::process::Command;
use tests::bounded::Watchdog;
use tests::net::{Client, connect_from, is_refused, tcp};
use tests::process::{Program, run_with};

fn start(arguments: &[&str]) -> (Program, String) {
    let program = Program::example("modbus_tcp", arguments);
    let port = program.address().port().to_string();
    (program, port)
}

/// A frame of transaction `id` for unit 1.
fn frame(id: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len() + 1).expect("short");
    let [high, low] = len.to_be_bytes();
    [&[0, id, 0, 0, high, low, 1], rest].concat()
}

/// Registers 0 and 1 are written, then read; coil 3 is set; an unknown function.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let said = [
        frame(1, &[16, 0, 0, 0, 2, 4, 1, 2, 3, 4]),
        frame(2, &[3, 0, 0, 0, 2]),
        frame(3, &[5, 0, 3, 0xff, 0]),
        frame(4, &[1, 0, 0, 0, 4]),
        frame(5, &[0x2b, 14, 1, 0]),
    ];
    let heard = [
        frame(1, &[16, 0, 0, 0, 2]),
        frame(2, &[3, 4, 1, 2, 3, 4]),
        frame(3, &[5, 0, 3, 0xff, 0]),
        frame(4, &[1, 1, 8]),
        frame(5, &[0xab, 1]),
    ];
    (said.concat(), heard.concat())
}

#[test]
fn requests_are_answered_at_every_cut_and_glued() {
    let _bound = Watchdog::new();
    let (program, _) = start(&[]);
    let mut client = tcp(program.address());
    let (said, heard) = conversation();
    for cut in 0..=said.len() {
        client.say(&said[..cut]);
        client.say(&said[cut..]);
        client.hear(&heard);
    }
    for byte in &said {
        client.say(&[*byte]);
    }
    client.hear(&heard);
    client.say(&said.repeat(20));
    client.hear(&heard.repeat(20));
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn what_does_not_agree_is_refused_and_what_is_no_modbus_ends() {
    let _bound = Watchdog::new();
    let (program, _) = start(&[]);
    let mut client = tcp(program.address());
    for (rest, why) in [
        (&[3, 0, 0, 0, 0][..], 3),             // no registers
        (&[3, 0, 0, 0, 126], 3),               // more than an answer holds
        (&[3, 1, 0, 0, 1], 2),                 // beyond the last
        (&[16, 0, 0, 0, 2, 4, 1, 2], 3),       // says four bytes, has two
        (&[16, 0, 0, 0, 1, 4, 1, 2, 3, 4], 3), // one register in four bytes
        (&[15, 0, 0, 0, 9, 1, 0xff], 3),       // nine coils in a byte
        (&[16, 0, 0, 0, 120, 255, 1, 2], 3),   // more than it has
        (&[6, 0, 0, 0], 3),                    // cut short
        (&[7], 1),
        (&[0x91, 0], 1),
    ] {
        client.say(&frame(9, rest));
        client.hear(&frame(9, &[rest[0] | 0x80, why]));
    }
    client.say(&frame(1, &[4, 0, 0, 0, 3]));
    client.hear(&frame(1, &[4, 6, 0, 11, 0, 1, 0, 0]));
    for nonsense in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        &[0, 1, 0, 0, 0, 1, 1],
        &[0, 1, 0, 0, 0, 0],
    ] {
        let mut other = tcp(program.address());
        other.say(nonsense);
        let mut rest = Vec::new();
        let _ = other.read_to_end(&mut rest); // an end or a reset
        assert!(rest.is_empty());
    }
    client.say(&frame(2, &[4, 0, 2, 0, 1]));
    client.hear(&frame(2, &[4, 2, 0, 3]));
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn one_source_leaves_room_for_others() {
    let _bound = Watchdog::new();
    let (program, _) = start(&["--per-source", "2"]);
    let ask = frame(1, &[3, 0, 0, 0, 1]);
    let answer = frame(1, &[3, 2, 0, 0]);
    let mut held: Vec<_> = (0..2).map(|_| tcp(program.address())).collect();
    for client in &mut held {
        client.say(&ask);
        client.hear(&answer);
    }
    assert!(is_refused(program.address()), "a third of the same source");
    let from = Ipv4Addr::new(127, 0, 0, 9);
    let mut other = connect_from(from, program.address()).expect("connected");
    other.say(&ask);
    other.hear(&answer);
    let ended = program.stop();
    assert!(
        ended.output.contains("3 connections accepted, 1 refused"),
        "{}",
        ended.output
    );
}

#[test]
#[ignore = "needs mbpoll"]
fn mbpoll() {
    let _bound = Watchdog::new();
    let (program, port) = start(&[]);
    let poll = |arguments: &[&str]| {
        let mut command = Command::new("mbpoll");
        command
            .args(["-m", "tcp", "-p", &port, "-a", "1", "-q"])
            .args(arguments);
        let ended = run_with(&mut command, b"");
        assert_eq!(
            ended.code,
            Some(0),
            "{arguments:?}: {}{}",
            ended.output,
            ended.errors
        );
        ended.output
    };
    poll(&["-t", "4", "-r", "11", "127.0.0.1", "258", "772", "65535"]);
    let said = poll(&["-t", "4", "-r", "11", "-c", "3", "-1", "127.0.0.1"]);
    for line in ["[11]: \t258", "[12]: \t772", "[13]: \t65535"] {
        assert!(said.contains(line), "{said}");
    }
    poll(&["-t", "0", "-r", "5", "127.0.0.1", "1", "0", "1"]);
    let said = poll(&["-t", "0", "-r", "5", "-c", "3", "-1", "127.0.0.1"]);
    for line in ["[5]: \t1", "[6]: \t0", "[7]: \t1"] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(program.stop().code, Some(0));
}

/// Every function, the largest requests, and twenty at once over one socket.
const PYMODBUS: &str = r#"
import socket, struct, sys
from pymodbus.client import ModbusTcpClient
port = int(sys.argv[1])
client = ModbusTcpClient("127.0.0.1", port=port)
assert client.connect()
def good(answer):
    assert not answer.isError(), answer
    return answer
good(client.write_registers(20, list(range(1, 121)), slave=1))
assert good(client.read_holding_registers(20, 120, slave=1)).registers == list(range(1, 121))
assert good(client.read_holding_registers(0, 125, slave=1)).registers[20] == 1
good(client.write_register(7, 4711, slave=1))
assert good(client.read_holding_registers(7, 1, slave=1)).registers == [4711]
good(client.write_coils(0, [True, False] * 32, slave=1))
assert good(client.read_coils(0, 64, slave=1)).bits == [True, False] * 32
good(client.write_coil(1, True, slave=1))
assert good(client.read_coils(0, 3, slave=1)).bits[:3] == [True, True, True]
assert not any(good(client.read_discrete_inputs(0, 64, slave=1)).bits)
assert good(client.read_input_registers(0, 2, slave=1)).registers[1] == 1
assert client.read_holding_registers(250, 10, slave=1).isError()
raw = socket.create_connection(("127.0.0.1", port))
ask = lambda n: struct.pack(">HHHBBHH", n, 0, 6, 1, 3, 7, 1)
raw.sendall(b"".join(ask(n) for n in range(20)))
got = b""
while len(got) < 20 * 11:
    got += raw.recv(4096)
assert got == b"".join(struct.pack(">HHHBBBH", n, 0, 5, 1, 3, 2, 4711) for n in range(20))
print("all good")
"#;

#[test]
#[ignore = "needs python3-pymodbus, python3-serial-asyncio"]
fn pymodbus() {
    let _bound = Watchdog::new();
    let (program, port) = start(&[]);
    let ended = run_with(
        Command::new("/usr/bin/python3").args(["-c", PYMODBUS, &port]),
        b"",
    );
    assert_eq!(ended.output.trim_end(), "all good", "{}", ended.errors);
    assert_eq!(program.stop().code, Some(0));
}
