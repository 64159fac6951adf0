//! `nmap -sV` identifies listening services, with probes for many protocols: no example is harmed, each still serves
//! the clients that it is for, and has counted the errors.

use core::net::SocketAddr;
use core::str;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::sync::mpsc::channel;
use std::thread;
use tests::bounded::{Watchdog, until};
use tests::modes::MODES;
use tests::net::{Client, scan, tcp};
use tests::process::Program;
use tests::server::{Echo, Running, memory};
use tests::terminal::terminal;
use tidegate::Config;

/// Scans an example, then sends what a client of its own would send, to its end, and passes on the reply: `count` is
/// the number of errors so far, as far as the reply shows it.
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

/// The probes go out on the line, one client's after the other's, and then those of a client of its own.
#[test]
#[ignore = "needs nmap"]
fn serial_bridge() {
    let _bound = Watchdog::new();
    let (mut far, device) = terminal();
    let bridge = Program::example("serial_bridge", &["--device", &device]);
    let (hears, heard) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n) = far.read(&mut bytes) {
            let _ = hears.send(bytes[..n].to_vec());
        }
    });
    scan(&bridge.address().port().to_string());
    let mut all = Vec::new();
    until("a client of its own is heard", || {
        let mut client = tcp(bridge.address());
        // It is reset if another is still there.
        let _ = client.write_all(b"and 1 more");
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = client.read_to_end(&mut Vec::new());
        all.extend(heard.try_iter().flatten());
        all.ends_with(b"and 1 more")
    });
    assert!(all.len() > 10, "the probes were heard");
    let ended = bridge.stop();
    assert_eq!((ended.code, &ended.errors[..]), (Some(0), ""));
    let accepted = number_after(ended.output.as_bytes(), "stopped: ");
    assert!(accepted > Some(1), "{}", ended.output);
}

/// What it keeps is sent over TCP to each client; what they send is ignored.
#[test]
#[ignore = "needs nmap"]
fn syslog_sink() {
    let _bound = Watchdog::new();
    let sink = Program::example("syslog_sink", &["--show", "127.0.0.1:0"]);
    let mut addresses: Vec<SocketAddr> = Vec::new();
    until("both addresses", || {
        let output = sink.output();
        let named = output
            .lines()
            .filter_map(|line| line.strip_prefix("listening on "));
        addresses = named.filter_map(|address| address.parse().ok()).collect();
        addresses.len() == 2 && output.ends_with('\n')
    });
    scan(&addresses[1].port().to_string());
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender
        .send_to(b"<13>1 more", addresses[0])
        .expect("a datagram");
    until("it is kept", || {
        String::from_utf8_lossy(&tcp(addresses[1]).rest()).contains("1 more")
    });
    let ended = sink.stop();
    assert_eq!((ended.code, &ended.errors[..]), (Some(0), ""));
}
