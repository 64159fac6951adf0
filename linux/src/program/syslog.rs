//! [`Syslog`]: log lines as messages for the system's log (`syslog(3)`, RFC 3164), each one datagram.
//!
//! By hand, as the crate syslog has a calendar: the log daemon adds the time.

use super::lines::Output;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;

/// Where the system's log listens.
pub(crate) const LOG_SOCKET: &str = "/dev/log";

/// The longest message (RFC 3164, section 4.1).
const MESSAGE: usize = 1024;

/// The facility of daemons, in its bits.
const DAEMON: u32 = 3 << 3;

/// Takes lines. It may wait for capacity in the queue of the daemon: it is for a thread of its own.
#[derive(Debug)]
pub(crate) struct Syslog {
    socket: UnixDatagram,
    path: String,
    tag: String,
    /// The output of the program's final messages, too.
    errors: File,
    /// Whether it has been there: what it does not take then is dropped.
    was_there: bool,
}

impl Syslog {
    /// Connects to the log at `path`. If it does not exist yet, that is printed on `errors`; lines wait until it does.
    pub(crate) fn open(path: &str, mut errors: File) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        let there = UnixDatagram::unbound().and_then(|probe| probe.connect(path));
        if let Err(error) = &there {
            let _ = writeln!(
                errors,
                "tidegate: warn: --log-to syslog:{path}: {error}; lines are kept until a syslog daemon is there, as far as they fit"
            );
        }
        Ok(Self {
            socket,
            path: path.into(),
            tag: format!("tidegate[{}]: ", std::process::id()),
            errors,
            was_there: there.is_ok(),
        })
    }

    fn send(&self, line: &[u8]) -> io::Result<()> {
        let (severity, text) = parts(line);
        let mut message = [0; MESSAGE];
        let mut rest = &mut message[..];
        // What does not fit is cut.
        let _ = write!(rest, "<{}>{}", DAEMON + severity, self.tag);
        let _ = rest.write(text);
        let left = rest.len();
        // By the path each time: it may be another daemon by now.
        self.socket
            .send_to(&message[..MESSAGE - left], &self.path)?;
        Ok(())
    }
}

impl Write for Syslog {
    /// Takes one line, or what is left of one. `NotConnected`: the log is not there yet, so the line may be tried again.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = bytes.split_inclusive(|&byte| byte == b'\n').next();
        let line = line.unwrap_or(bytes);
        match self.send(line.strip_suffix(b"\n").unwrap_or(line)) {
            Err(_) if !self.was_there => return Err(ErrorKind::NotConnected.into()),
            sent => {
                if parts(line).0 == FINAL {
                    let _ = self.errors.write_all(line);
                }
                self.was_there = true;
                sent?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Syslog {
    /// Drops what cannot be kept any longer; the final messages are written all the same.
    fn give_up(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if parts(line).0 == FINAL {
                let _ = self.errors.write_all(line);
            }
        }
    }
}

/// What begins log lines, and how severe they are.
const LEVELS: [(&[u8], u32); 5] = [
    (b"error: ", 3),
    (b"warn: ", 4),
    (b"info: ", 6),
    (b"debug: ", 7),
    (b"trace: ", 7),
];

/// How severe it is if the program gives up: critical.
const FINAL: u32 = 2;

/// The severity of a line, and its text without the name of the program.
fn parts(line: &[u8]) -> (u32, &[u8]) {
    let text = line.strip_prefix(b"tidegate: ").unwrap_or(line);
    let level = LEVELS.iter().find(|(name, _)| text.starts_with(name));
    (level.map_or(FINAL, |(_, severity)| *severity), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_its_severity() {
        for (line, severity) in [
            ("tidegate: error: x", 3),
            ("tidegate: warn: x", 4),
            ("tidegate: info: x", 6),
            ("tidegate: debug: x", 7),
            ("tidegate: trace: x", 7),
            ("tidegate: cannot listen on x: error: y", FINAL),
        ] {
            let text = &line["tidegate: ".len()..];
            assert_eq!(parts(line.as_bytes()), (severity, text.as_bytes()));
        }
    }

    #[test]
    fn a_line_is_a_message_and_a_long_one_is_cut() {
        let path = std::env::temp_dir().join(format!("tidegate-{}-syslog", std::process::id()));
        let hears = UnixDatagram::bind(&path).expect("bound");
        let errors = File::create("/dev/null").expect("a file");
        let opened = Syslog::open(path.to_str().expect("UTF-8"), errors);
        let mut syslog = opened.expect("there");
        let long = format!("tidegate: info: {}\n", "x".repeat(2000));
        for line in [
            "tidegate: warn: one\ntidegate: info: two\n",
            "tidegate: info: two\n",
            &long,
        ] {
            let first = line.find('\n').expect("a line") + 1;
            assert_eq!(syslog.write(line.as_bytes()).expect("taken"), first);
        }
        let heard = || {
            let mut message = [0; 4096];
            let n = hears.recv(&mut message).expect("a message");
            String::from_utf8_lossy(&message[..n]).into_owned()
        };
        let us = std::process::id();
        assert_eq!(heard(), format!("<28>tidegate[{us}]: warn: one"));
        assert_eq!(heard(), format!("<30>tidegate[{us}]: info: two"));
        let cut = heard();
        assert!(cut.len() == MESSAGE && cut.ends_with('x'), "{cut}");
        drop(hears);
        std::fs::remove_file(&path).expect("removed");
        let gone = syslog.write(b"tidegate: info: nobody\n");
        assert!(gone.is_err_and(|error| error.kind() != ErrorKind::NotConnected));
    }

    #[test]
    fn one_that_is_not_there_yet_is_waited_for() {
        let path = std::env::temp_dir().join(format!("tidegate-{}-later", std::process::id()));
        let errors = File::create("/dev/null").expect("a file");
        let opened = Syslog::open(path.to_str().expect("UTF-8"), errors);
        let mut syslog = opened.expect("a socket");
        for _ in 0..2 {
            let gone = syslog.write(b"tidegate: info: one\n");
            assert!(gone.is_err_and(|error| error.kind() == ErrorKind::NotConnected));
        }
        let hears = UnixDatagram::bind(&path).expect("bound");
        assert!(syslog.write(b"tidegate: info: one\n").is_ok());
        let mut message = [0; 64];
        let n = hears.recv(&mut message).expect("a message");
        assert!(message[..n].ends_with(b"info: one"));
        std::fs::remove_file(&path).expect("removed");
    }
}
