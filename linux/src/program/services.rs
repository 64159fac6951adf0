//! What the server does with its connections.

use super::lines::Sink;
use tidegate::{Conn, Escaped, Handler, Reason};

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ServiceName {
    Print,
    Echo,
    Discard,
    Chat,
}

impl ServiceName {
    /// All of them by name.
    pub(crate) const ALL: [(&str, Self); 4] = [
        ("print", Self::Print),
        ("echo", Self::Echo),
        ("discard", Self::Discard),
        ("chat", Self::Chat),
    ];
}

/// A handler, and what it has counted.
pub(crate) trait Service: Handler<State = u32> {
    /// Lines that did not fit where they should have gone, if the service passes lines on.
    fn undelivered(&self) -> Option<u64> {
        None
    }
}

/// Prints what comes in, answers nothing.
#[derive(Debug)]
pub(crate) struct Print {
    out: &'static Sink,
}

impl Print {
    pub(crate) const fn new(out: &'static Sink) -> Self {
        Self { out }
    }
}

impl Handler for Print {
    type State = u32;

    fn opened(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        self.out.line(format_args!("{} connected", conn.peer()));
    }

    fn readable(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        let data = conn.data();
        if data.is_empty() {
            return;
        }
        let (peer, n) = (conn.peer(), data.len());
        self.out
            .line(format_args!("{peer} received {n} bytes: {}", Escaped(data)));
        conn.consume(n);
    }

    fn closed(&mut self, conn: &mut Conn<'_>, _: &mut u32, reason: Reason) {
        let (info, age) = (conn.info(), conn.age());
        self.out.line(format_args!(
            "{} closed: {reason}; {} bytes in, {} bytes out, {}.{:03} s",
            info.peer,
            info.bytes_in,
            info.bytes_out,
            age.as_secs(),
            age.subsec_millis(),
        ));
    }
}

impl Service for Print {}

/// Sends back what comes in.
#[derive(Debug)]
pub(crate) struct Echo;

impl Handler for Echo {
    type State = u32;

    fn readable(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        let data = conn.data();
        let n = data.len().min(conn.room());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

impl Service for Echo {}

/// Throws away what comes in, as a handler that does nothing does.
#[derive(Debug)]
pub(crate) struct Discard;

impl Handler for Discard {
    type State = u32;
}

impl Service for Discard {}

/// Sends each line to all the others.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    undelivered: u64,
}

impl Handler for Chat {
    /// Lines said.
    type State = u32;

    /// All whole lines that are there go in one piece: every place of the table is looked at once a visit, not once a
    /// line, of which a visit can bring thousands.
    fn readable(&mut self, conn: &mut Conn<'_>, lines: &mut u32) {
        let Some(last) = conn.data().iter().rposition(|&byte| byte == b'\n') else {
            return;
        };
        let whole = &conn.data()[..=last];
        let said: u32 = whole.iter().map(|&byte| u32::from(byte == b'\n')).sum();
        let missed = u64::from(conn.send_others(whole)) * u64::from(said);
        self.undelivered = self.undelivered.saturating_add(missed);
        *lines = lines.saturating_add(said);
        conn.consume(last + 1);
    }
}

impl Service for Chat {
    fn undelivered(&self) -> Option<u64> {
        Some(self.undelivered)
    }
}
