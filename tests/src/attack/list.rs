//! The attacks.

use super::crowd::Step;
use super::{Attack, Sources};
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// One source may have three quarters of a small table; the rest is for others.
const ONE_SOURCE: &[&str] = &[
    "--connections",
    "64",
    "--per-source",
    "48",
    "--first-byte",
    "1s",
    "--request",
    "1s",
    "--write-stall",
    "1s",
    "--linger",
    "500ms",
];

/// The same, where a peer that lives and reads nothing is closed soon.
const NEVER_READING: &[&str] = &[
    "--connections",
    "64",
    "--per-source",
    "48",
    "--first-byte",
    "1s",
    "--request",
    "1s",
    "--write-stall",
    "1s",
    "--idle",
    "1s",
    "--linger",
    "500ms",
];

/// The same by io_uring. No deadline ends a connection that has sent bytes and whose end is not noticed.
const ONE_SOURCE_BY_URING: &[&str] = &[
    "--connections",
    "64",
    "--per-source",
    "48",
    "--first-byte",
    "1s",
    "--request",
    "off",
    "--idle",
    "off",
    "--backend",
    "uring",
];

/// Many sources: an idle connection is evicted for a newcomer, and no request may take long.
const MANY_SOURCES: &[&str] = &[
    "--connections",
    "64",
    "--per-source",
    "4",
    "--full",
    "evict",
    "--first-byte",
    "1s",
    "--request",
    "250ms",
    "--write-stall",
    "1s",
    "--linger",
    "500ms",
];

/// All of them.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "none",
        what: "no attack, to compare with",
        service: "echo",
        options: ONE_SOURCE,
        clients: 0,
        sources: Sources::One,
        pause: Duration::from_millis(1),
        step: wait,
    },
    Attack {
        name: "slow-loris",
        what: "one source, 200 clients, each a byte of an endless line now and then",
        service: "chat",
        options: ONE_SOURCE,
        clients: 200,
        sources: Sources::One,
        pause: Duration::from_millis(20),
        step: one_byte_of_a_line,
    },
    Attack {
        name: "slow-loris-many",
        what: "the same from 128 sources: no connection is idle, so newcomers wait for the deadline of others' requests",
        service: "chat",
        options: MANY_SOURCES,
        clients: 128,
        sources: Sources::Many,
        pause: Duration::from_millis(20),
        step: one_byte_of_a_line,
    },
    Attack {
        name: "silent-many",
        what: "200 sources connect and say nothing",
        service: "echo",
        options: MANY_SOURCES,
        clients: 200,
        sources: Sources::Many,
        pause: Duration::from_millis(20),
        step: wait,
    },
    Attack {
        name: "never-reading",
        what: "one source, 200 clients send much and read no reply",
        service: "echo",
        options: NEVER_READING,
        clients: 200,
        sources: Sources::One,
        pause: Duration::from_millis(1),
        step: say_much,
    },
    Attack {
        name: "connect-flood",
        what: "one source, 500 clients connect, again as soon as they are reset",
        service: "echo",
        options: ONE_SOURCE,
        clients: 500,
        sources: Sources::One,
        pause: Duration::ZERO,
        step: wait,
    },
    Attack {
        name: "connect-flood-many",
        what: "200 sources connect, again as soon as they are evicted",
        service: "echo",
        options: MANY_SOURCES,
        clients: 200,
        sources: Sources::Many,
        pause: Duration::ZERO,
        step: wait,
    },
    Attack {
        name: "reset-flood",
        what: "connects, says something, resets, without a pause",
        service: "echo",
        options: ONE_SOURCE,
        clients: 40,
        sources: Sources::One,
        pause: Duration::ZERO,
        step: say_and_reset,
    },
    Attack {
        name: "half-close",
        what: "one source, 200 clients say something, end, read nothing and stay",
        service: "echo",
        options: ONE_SOURCE,
        clients: 200,
        sources: Sources::One,
        pause: Duration::from_millis(5),
        step: half_close,
    },
    Attack {
        name: "endless-lines",
        what: "one source, 60 clients send lines without an end as fast as they can",
        service: "chat",
        options: ONE_SOURCE,
        clients: 60,
        sources: Sources::One,
        pause: Duration::ZERO,
        step: endless_line,
    },
    Attack {
        name: "escapes",
        what: "NUL, ESC and other bytes that terminals obey, to a program that prints them",
        service: "print",
        options: ONE_SOURCE,
        clients: 8,
        sources: Sources::One,
        pause: Duration::from_millis(5),
        step: say_escapes,
    },
    Attack {
        name: "port-scan",
        what: "connects and closes at once, every other time with a reset",
        service: "echo",
        options: ONE_SOURCE,
        clients: 40,
        sources: Sources::One,
        pause: Duration::ZERO,
        step: scan,
    },
    Attack {
        name: "one-byte",
        what: "48 clients send segments of one byte and read the replies",
        service: "echo",
        options: ONE_SOURCE,
        clients: 48,
        sources: Sources::One,
        pause: Duration::ZERO,
        step: one_byte,
    },
    Attack {
        name: "reset-behind-bytes",
        what: "connects, says several things, resets: all of it is there before io_uring receives, which may forget the end",
        service: "discard",
        options: ONE_SOURCE_BY_URING,
        clients: 40,
        sources: Sources::One,
        pause: Duration::ZERO,
        step: say_in_pieces_and_reset,
    },
];

/// Notices only when it is closed.
fn wait(client: &mut TcpStream, _: u32) -> io::Result<Step> {
    match client.read(&mut [0; 64])? {
        0 => Ok(Step::Leave),
        _ => Ok(Step::Hold),
    }
}

fn one_byte_of_a_line(client: &mut TcpStream, _: u32) -> io::Result<Step> {
    client.write_all(b"a")?;
    Ok(Step::Hold)
}

fn say_much(client: &mut TcpStream, _: u32) -> io::Result<Step> {
    let _ = client.write(&[b'a'; 65536])?;
    Ok(Step::Hold)
}

fn say_and_reset(client: &mut TcpStream, _: u32) -> io::Result<Step> {
    client.write_all(b"hello")?;
    Ok(Step::Reset)
}

fn say_in_pieces_and_reset(client: &mut TcpStream, _: u32) -> io::Result<Step> {
    client.set_nodelay(true)?;
    // In another rhythm for each.
    let port = usize::from(client.local_addr()?.port());
    for piece in 0..1 + port % 11 {
        let size = [1, 2, 7, 100, 1000][(port + piece) % 5];
        client.write_all(&[b'x'; 1000][..size])?;
    }
    Ok(Step::Reset)
}

fn half_close(client: &mut TcpStream, age: u32) -> io::Result<Step> {
    match age {
        0 => {
            let _ = client.write(&[b'a'; 65536])?;
            client.shutdown(Shutdown::Write)?;
        }
        1..400 => return Err(ErrorKind::WouldBlock.into()),
        _ => return Ok(Step::Leave),
    }
    Ok(Step::Hold)
}

fn endless_line(client: &mut TcpStream, _: u32) -> io::Result<Step> {
    let _ = client.write(&[b'a'; 4096])?;
    Ok(Step::Hold)
}

fn say_escapes(client: &mut TcpStream, age: u32) -> io::Result<Step> {
    const BYTES: &[u8] = b"\0\x1b[2J\x1b]0;x\x07\r\n\x08\x7f\x9b1;31m\xe2\x80\xae\\\xff%n%s\0";
    let from = age as usize % BYTES.len();
    let _ = client.write(&BYTES[from..].repeat(20))?;
    Ok(Step::Hold)
}

fn scan(_: &mut TcpStream, _: u32) -> io::Result<Step> {
    use core::sync::atomic::{AtomicBool, Ordering};
    static EVERY_OTHER: AtomicBool = AtomicBool::new(false);
    Ok(if EVERY_OTHER.fetch_xor(true, Ordering::Relaxed) {
        Step::Leave
    } else {
        Step::Reset
    })
}

fn one_byte(client: &mut TcpStream, age: u32) -> io::Result<Step> {
    if age == 0 {
        client.set_nodelay(true)?;
    }
    // A full buffer on the way there must not delay the replies.
    match client.write(b"a") {
        Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
        Ok(_) | Err(_) => {}
    }
    wait(client, age)
}
