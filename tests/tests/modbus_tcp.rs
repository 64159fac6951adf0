//! The example `modbus_tcp` serves masters that others wrote, and requests that are split, glued, wrong or endless.

use core::net::Ipv4Addr;
use std::io::Read;
use std::process::Command;
use tests::bounded::Watchdog;
use tests::net::{Client, connect_from, is_refused, tcp};
use tests::process::{Program, example, run_with};

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

/// Registers 0 and 1 are written, then read; coil 3 is set; bits of register 1 are; an unknown function.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let said = [
        frame(1, &[16, 0, 0, 0, 2, 4, 1, 2, 3, 4]),
        frame(2, &[3, 0, 0, 0, 2]),
        frame(3, &[5, 0, 3, 0xff, 0]),
        frame(4, &[1, 0, 0, 0, 4]),
        frame(5, &[22, 0, 1, 0xff, 0xff, 0, 0]),
        frame(6, &[7]),
    ];
    let heard = [
        frame(1, &[16, 0, 0, 0, 2]),
        frame(2, &[3, 4, 1, 2, 3, 4]),
        frame(3, &[5, 0, 3, 0xff, 0]),
        frame(4, &[1, 1, 8]),
        frame(5, &[22, 0, 1, 0xff, 0xff, 0, 0]),
        frame(6, &[0x87, 1]),
    ];
    (said.concat(), heard.concat())
}

#[test]
fn requests_get_their_replies_at_every_cut_and_glued() {
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
        (&[3, 0, 0, 0, 126], 3),               // more than a reply holds
        (&[3, 1, 0, 0, 1], 2),                 // beyond the last
        (&[16, 0, 0, 0, 2, 4, 1, 2], 3),       // a byte count of four, with two bytes
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
        let _ = other.read_to_end(&mut rest); // EOF or a reset
        assert!(rest.is_empty());
    }
    client.say(&frame(2, &[4, 0, 2, 0, 1]));
    client.hear(&frame(2, &[4, 2, 0, 3]));
    assert_eq!(program.stop().code, Some(0));
}

/// A register more than a function may write makes a frame that is longer than any that is allowed: an exception is the
/// reply, up to the largest byte count.
#[test]
fn one_register_too_many_is_an_exception_and_the_connection_goes_on() {
    let _bound = Watchdog::new();
    let (program, _) = start(&[]);
    let mut master = tcp(program.address());
    for count in 122..=127u8 {
        let values = vec![1; 2 * usize::from(count)];
        let write = [&[16, 0, 0, 0, count, 2 * count][..], &values].concat();
        let both = [&[23, 0, 0, 0, 1, 0, 0, 0, count, 2 * count][..], &values].concat();
        master.say(&frame(1, &write));
        master.hear(&match count {
            ..=123 => frame(1, &[16, 0, 0, 0, count]),
            _ => frame(1, &[0x90, 3]),
        });
        master.say(&frame(2, &both));
        master.hear(&frame(2, &[0x97, 3]));
    }
    master.say(&frame(3, &[3, 0, 122, 0, 2]));
    master.hear(&frame(3, &[3, 4, 1, 1, 0, 0]));
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn one_source_leaves_slots_to_others() {
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
fn of_a_full_table_the_idlest_goes() {
    let _bound = Watchdog::new();
    let (program, _) = start(&["--per-source", "off"]);
    let (ask, answer) = (frame(1, &[3, 0, 0, 0, 1]), frame(1, &[3, 2, 0, 0]));
    let mut masters: Vec<_> = (0..33).map(|_| tcp(program.address())).collect();
    for master in masters.iter_mut().skip(1) {
        master.say(&ask);
        master.hear(&answer);
    }
    let mut rest = Vec::new();
    let _ = masters[0].read_to_end(&mut rest); // EOF or a reset
    assert!(rest.is_empty());
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn there_are_as_many_registers_as_asked_for() {
    let _bound = Watchdog::new();
    let (program, _) = start(&["--coils", "2048", "--holding-registers", "2"]);
    let mut master = tcp(program.address());
    for (ask, answer) in [
        (
            frame(1, &[1, 0, 48, 0x07, 0xd0]),
            &frame(1, &[&[1, 250][..], &[0; 250]].concat())[..],
        ),
        (frame(2, &[1, 0, 49, 0x07, 0xd0]), &frame(2, &[0x81, 2])),
        (frame(3, &[3, 0, 0, 0, 2]), &frame(3, &[3, 4, 0, 0, 0, 0])),
        (frame(4, &[3, 0, 1, 0, 2]), &frame(4, &[0x83, 2])),
    ] {
        master.say(&ask);
        master.hear(answer);
    }
    for (arguments, why) in [
        (["--coils", "2049"], "must be a number from 1 to 2048"),
        (["--coils", "0"], "must be a number from 1 to 2048"),
        (["--input-registers", "2"], "must be at least 3"),
    ] {
        let ended = run_with(Command::new(example("modbus_tcp")).args(arguments), b"");
        assert_eq!(ended.code, Some(2));
        assert!(ended.errors.contains(why), "{}", ended.errors);
    }
}
