//! [`Player`]: the handler of a replay. It is the program's where that and all that it was shown is known; elsewhere it
//! makes the calls that are in the trace.

use super::services::Service;
use super::tape::Reel;
use core::time::Duration;
use tidegate_core::trace::{Call, Entry};
use tidegate_core::{Conn, Connections, Datagram, Directions, Fault, Handler, Reason, Token};

/// What a trace has while a handler is called.
const AWAITED: &str = "a call of the handler, or its return";

pub(super) struct Player {
    pub(super) reel: Reel,
    /// The service, and the listeners that are not its.
    pub(super) service: Option<(Service, Vec<u32>)>,
}

impl Player {
    /// The handler of a connection, unless it is the script.
    fn service(&mut self, conn: &Conn<'_>) -> Option<&mut Service> {
        let (service, beside) = self.service.as_mut()?;
        (!beside.contains(&conn.listener())).then_some(service)
    }

    /// Makes the calls of a service.
    pub(super) fn play(&self, conn: &mut Conn<'_>) {
        self.reel.make_calls(|| self.go_on(conn));
    }

    fn go_on(&self, conn: &mut Conn<'_>) {
        while let Some(entry) = self.reel.next() {
            if let Entry::Note(_) = entry {
                self.reel.skip();
            } else if let Entry::Returned(left) = entry {
                let data = conn.data().len();
                return conn.consume(data.saturating_sub(left as usize));
            } else if let Entry::Call(Call::GiveBack { consumed, .. }) = entry {
                return conn.consume(consumed as usize);
            } else if let Entry::Call(call) = entry {
                self.call(conn, call);
            } else {
                return self.reel.diverge(AWAITED.into());
            }
        }
    }

    /// Makes a call; the tap compares its result.
    fn call(&self, conn: &mut Conn<'_>, call: Call) {
        match call {
            Call::Send { len, .. } => {
                let _ = conn.send(&nothing(len));
            }
            Call::Space(_) => {
                let _ = conn.space().len();
            }
            Call::Reserve { len, .. } => {
                let _ = conn.reserve(len as usize).map(|space| space.len());
            }
            Call::Commit { len, .. } => conn.commit(len as usize),
            Call::WantRoom { len, .. } => conn.want_room(len as usize),
            Call::ShutDown(_) => conn.shut_down(),
            Call::Finish(_) => conn.finish(),
            Call::TooLong(_) => conn.too_long(),
            Call::Abort(_) => conn.abort(),
            Call::Pause(_) => conn.pause(),
            Call::Resume(_) => conn.resume(),
            Call::Connect {
                to,
                origin: Some(_),
                ..
            } => {
                let _ = conn.connect(to);
            }
            Call::Lend(token) => {
                if conn.lend(token, |other| self.go_on(other)).is_none() {
                    self.reel.diverge(format!("{token:?} cannot be borrowed"));
                }
            }
            Call::SendTo { .. }
            | Call::SendOthers { .. }
            | Call::FinishOf(_)
            | Call::AbortOf(_)
            | Call::SetTimer { .. }
            | Call::CancelTimer(_)
            | Call::GiveBack { .. }
            | Call::SetFreeTimer { .. }
            | Call::SetInterval { .. }
            | Call::CancelFreeTimer(_)
            | Call::WatchFor { .. }
            | Call::Unwatch(_)
            | Call::SendDatagram { .. }
            | Call::CloseDatagrams(_)
            | Call::Connect { origin: None, .. } => call_all(&self.reel, conn.all(), call),
        }
    }

    /// Makes the calls of a service of no connection.
    fn play_all(&self, all: &mut Connections<'_>) {
        self.reel.make_calls(|| self.go_on_with_all(all));
    }

    fn go_on_with_all(&self, all: &mut Connections<'_>) {
        while let Some(entry) = self.reel.next() {
            if let Entry::Note(_) = entry {
                self.reel.skip();
            } else if let Entry::Returned(_) = entry {
                return;
            } else if let Entry::Call(call) = entry {
                call_all(&self.reel, all, call);
            } else {
                return self.reel.diverge(AWAITED.into());
            }
        }
    }
}

/// Makes a call that is about no connection in particular, or names it.
pub(super) fn call_all(reel: &Reel, all: &mut Connections<'_>, call: Call) {
    match call {
        Call::SendTo { token, len, .. } => {
            let _ = all.send_to(token, &nothing(len));
        }
        Call::Connect {
            to, origin: None, ..
        } => {
            let _ = all.connect(to);
        }
        Call::FinishOf(token) => all.finish(token),
        Call::AbortOf(token) => all.abort(token),
        Call::SetTimer { token, after } => all.set_timer_of(token, Duration::from_nanos(after)),
        Call::CancelTimer(token) => all.cancel_timer_of(token),
        Call::SetFreeTimer { timer, after } => {
            let _ = all.set_timer(timer, Duration::from_nanos(after));
        }
        Call::SetInterval { timer, period } => {
            let _ = all.set_interval(timer, Duration::from_nanos(period));
        }
        Call::CancelFreeTimer(timer) => all.cancel_timer(timer),
        Call::WatchFor { token, directions } => all.watch_for(token, directions),
        Call::Unwatch(token) => all.unwatch(token),
        Call::SendDatagram {
            token,
            local: None,
            to,
            len,
            ..
        } => {
            let _ = all.send_datagram(token, to, &nothing(len));
        }
        Call::SendDatagram {
            token,
            local: Some(local),
            to,
            len,
            ..
        } => {
            let _ = all.send_datagram_from(token, local, to, &nothing(len));
        }
        Call::CloseDatagrams(token) => all.close_datagrams(token),
        Call::Send { .. }
        | Call::Space(_)
        | Call::Reserve { .. }
        | Call::Commit { .. }
        | Call::SendOthers { .. }
        | Call::WantRoom { .. }
        | Call::ShutDown(_)
        | Call::Finish(_)
        | Call::TooLong(_)
        | Call::Abort(_)
        | Call::Pause(_)
        | Call::Resume(_)
        | Call::Connect {
            origin: Some(_), ..
        }
        | Call::Lend(_)
        | Call::GiveBack { .. } => reel.diverge(format!("no service for {call:?}")),
    }
}

/// So many bytes, in place of those that were sent.
fn nothing(len: u32) -> Vec<u8> {
    vec![0; len as usize]
}

/// Calls a method of the service, or plays.
macro_rules! serve {
    ($player:expr, $conn:ident, $it:ident => $call:expr) => {
        match $player.service($conn) {
            Some($it) => $call,
            None => $player.play($conn),
        }
    };
}

impl Handler for Player {
    type State = u32;

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        serve!(self, conn, it => it.opened(conn, state));
    }

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        serve!(self, conn, it => it.readable(conn, state));
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        serve!(self, conn, it => it.writable(conn, state));
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        serve!(self, conn, it => it.ended(conn, state));
    }

    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        serve!(self, conn, it => it.timer(conn, state));
    }

    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut u32, reason: Reason) {
        serve!(self, conn, it => it.closed(conn, state, reason));
    }

    fn tick(&mut self, all: &mut Connections<'_>, _: u32, _: u64) {
        self.play_all(all);
    }

    fn ready(&mut self, all: &mut Connections<'_>, _: Token, _: Directions) {
        self.play_all(all);
    }

    fn datagram(&mut self, all: &mut Connections<'_>, _: Token, _: Datagram<'_>) {
        self.play_all(all);
    }

    fn datagram_room(&mut self, all: &mut Connections<'_>, _: Token) {
        self.play_all(all);
    }

    fn datagram_failed(&mut self, all: &mut Connections<'_>, _: Token, _: Fault) {
        self.play_all(all);
    }

    fn unwatched(&mut self, all: &mut Connections<'_>, _: Token, _: Fault) {
        self.play_all(all);
    }
}
