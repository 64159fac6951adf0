//! `nmap -sV` finds out what listens, with probes for many protocols: no example is the worse for it, each still answers the
//! clients that it is for, and has counted what was wrong.

use core::str;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, scan, tcp};
use tests::process::Program;
use tests::server::{Echo, Running, memory};
use tidegate::Config;

/// Scans an example, then says to it what a client of its own would say, to its end, and has the answer looked at:
/// `count` is what was wrong so far, as far as the answer tells.
fn scanned(name: &str, arguments: &[&str], said: &[u8], count: impl Fn(&[u8]) -> Option<u64>) {
    let _bound = Watchdog::new();
    let program = Program::example(name, arguments);
    scan(&program.address().port().to_string());
    let mut client = tcp(program.address());
    client.say(said);
    client.finish();
    let answer = client.rest();
    let count = count(&answer).unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(&answer)));
    assert_ne!(count, 0, "{:?}", String::from_utf8_lossy(&answer));
    let ended = program.stop();
    assert_eq!((ended.code, &ended.errors[..]), (Some(0), ""));
    // We are one of them.
    let accepted = number_after(ended.output.as_bytes(), "stopped: ");
    assert!(accepted > Some(1), "{}", ended.output);
}

/// The number after this word in a text.
fn number_after(text: &[u8], word: &str) -> Option<u64> {
    let (_, after) = str::from_utf8(text).ok()?.split_once(word)?;
    let end = after.find(|c: char| !c.is_ascii_digit());
    after.get(..end.unwrap_or(after.len()))?.parse().ok()
}

#[test]
#[ignore = "needs nmap"]
fn resp_kv() {
    scanned("resp_kv", &[], b"PING\r\nINFO\r\n", |answer| {
        let pong = answer.starts_with(b"+PONG\r\n");
        number_after(answer, "total_error_replies:").filter(|_| pong)
    });
}

#[test]
#[ignore = "needs nmap"]
fn modbus_tcp() {
    // Input register 2.
    let said = [0, 1, 0, 0, 0, 6, 1, 4, 0, 2, 0, 1];
    scanned("modbus_tcp", &[], &said, |answer| match answer {
        [0, 1, 0, 0, 0, 5, 1, 4, 2, high, low] => Some(u16::from_be_bytes([*high, *low]).into()),
        _ => None,
    });
}

#[test]
#[ignore = "needs nmap"]
fn http_status() {
    scanned("http_status", &[], b"GET / HTTP/1.0\r\n\r\n", |answer| {
        let page = answer.starts_with(b"HTTP/1.1 200 OK\r\n");
        number_after(answer, "errors<td>").filter(|_| page)
    });
}

#[test]
#[ignore = "needs nmap"]
fn control_socket() {
    scanned("control_socket", &[], b"status\n", |answer| {
        let known = answer.starts_with(b"status: 1 connections, ");
        number_after(answer, " lines, ").filter(|_| known)
    });
}

/// It passes the probes on; nothing is wrong with them here.
#[test]
#[ignore = "needs nmap"]
fn relay() {
    let echo =
        Running::<Echo>::start::<64, 4096, 16_384>(MODES[0], memory(), &Config::default(), Echo);
    let to = echo.address().to_string();
    let said = b"anything, and 1 more\n";
    let mut relay = Program::example("relay", &["--to", &to]);
    let _bound = Watchdog::new();
    scan(&relay.address().port().to_string());
    let mut client = tcp(relay.address());
    client.say(said);
    client.finish();
    assert_eq!(client.rest(), said);
    assert!(!relay.has_ended());
    assert!(echo.stop().accepted > 1);
}
