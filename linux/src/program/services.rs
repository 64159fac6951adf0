//! What the server does with its connections.

use super::lines::{OUTPUT, Sink};
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

/// The selected service: one type, and so one copy of the loop around it.
#[derive(Debug)]
pub(crate) enum Service {
    Print(Print),
    Echo(Echo),
    Discard(Discard),
    Chat(Chat),
}

impl Service {
    pub(crate) fn new(name: ServiceName) -> Self {
        match name {
            ServiceName::Print => Self::Print(Print::new(&OUTPUT)),
            ServiceName::Echo => Self::Echo(Echo),
            ServiceName::Discard => Self::Discard(Discard),
            ServiceName::Chat => Self::Chat(Chat::default()),
        }
    }

    /// Connections of this listener do not receive the chat.
    pub(crate) fn leave_out(&mut self, listener: u32) {
        match self {
            Self::Chat(chat) => chat.left_out |= 1 << listener,
            Self::Print(_) | Self::Echo(_) | Self::Discard(_) => {}
        }
    }

    /// Lines that did not fit where they should have gone, if the service passes lines on.
    pub(crate) fn undelivered(&self) -> Option<u64> {
        match self {
            Self::Chat(chat) => Some(chat.undelivered),
            Self::Print(_) | Self::Echo(_) | Self::Discard(_) => None,
        }
    }
}

/// Calls a method of whichever it is.
macro_rules! of_each {
    ($service:expr, $it:ident => $call:expr) => {
        match $service {
            Service::Print($it) => $call,
            Service::Echo($it) => $call,
            Service::Discard($it) => $call,
            Service::Chat($it) => $call,
        }
    };
}

impl Handler for Service {
    /// Lines received, which only the chat counts.
    type State = u32;

    fn opened(&mut self, conn: &mut Conn<'_>, lines: &mut u32) {
        of_each!(self, it => it.opened(conn, lines));
    }

    fn readable(&mut self, conn: &mut Conn<'_>, lines: &mut u32) {
        of_each!(self, it => it.readable(conn, lines));
    }

    fn writable(&mut self, conn: &mut Conn<'_>, lines: &mut u32) {
        of_each!(self, it => it.writable(conn, lines));
    }

    fn ended(&mut self, conn: &mut Conn<'_>, lines: &mut u32) {
        of_each!(self, it => it.ended(conn, lines));
    }

    fn closed(&mut self, conn: &mut Conn<'_>, lines: &mut u32, reason: Reason) {
        of_each!(self, it => it.closed(conn, lines, reason));
    }
}

/// Prints what comes in, sends nothing.
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

/// Sends back what comes in.
#[derive(Debug)]
pub(crate) struct Echo;

impl Handler for Echo {
    type State = u32;

    fn readable(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        let data = conn.data();
        let n = data.len().min(conn.capacity());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

/// Discards what comes in, as a handler that does nothing does.
#[derive(Debug)]
pub(crate) struct Discard;

impl Handler for Discard {
    type State = u32;
}

/// Sends each line to all the others.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    undelivered: u64,
    /// Listeners whose connections are not of the chat, a bit each.
    left_out: u32,
}

impl Handler for Chat {
    /// Lines received.
    type State = u32;

    /// All complete lines are sent in one piece: the table is walked once a service, not once a line, of which a
    /// service can bring thousands.
    fn readable(&mut self, conn: &mut Conn<'_>, lines: &mut u32) {
        let Some(last) = conn.data().iter().rposition(|&byte| byte == b'\n') else {
            return;
        };
        let whole = &conn.data()[..=last];
        let said: u32 = whole.iter().map(|&byte| u32::from(byte == b'\n')).sum();
        let left_out = self.left_out;
        let missed = conn.send_others_where(whole, |info| left_out & (1 << info.listener) == 0);
        let missed = u64::from(missed) * u64::from(said);
        self.undelivered = self.undelivered.saturating_add(missed);
        *lines = lines.saturating_add(said);
        conn.consume(last + 1);
    }
}
