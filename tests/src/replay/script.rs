//! [`Player`]: the handler of a replay. It is the program's where that and all that it was shown is known; elsewhere it
//! makes the calls that are in the trace.

use super::services::Service;
use super::tape::Reel;
use core::time::Duration;
use tidegate_core::trace::{Detail, Entry, Input};
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
            } else if let Entry::Call(_, Input::Release(consumed), _) = entry {
                return conn.consume(consumed as usize);
            } else if let Entry::Call(token, input, detail) = entry {
                self.call(conn, token, input, detail);
            } else {
                return self.reel.diverge(AWAITED.into());
            }
        }
    }

    /// Makes a call; the tap compares its result.
    fn call(&self, conn: &mut Conn<'_>, token: Token, input: Input, detail: Detail) {
        match (input, detail) {
            (Input::Send { len, .. }, _) => {
                let _ = conn.send(&nothing(len));
            }
            (Input::SpareCapacity, _) => {
                let _ = conn.spare_capacity().len();
            }
            (Input::Reserve { len, .. }, _) => {
                let _ = conn.reserve(len as usize).map(|space| space.len());
            }
            (Input::Commit(len), _) => conn.commit(len as usize),
            (Input::WantCapacity(len), _) => conn.want_capacity(len as usize),
            (Input::ShutDown, _) => conn.shut_down(),
            (Input::Finish, _) => conn.finish(),
            (Input::TooLong, _) => conn.too_long(),
            (Input::Abort, _) => conn.abort(),
            (Input::Pause, _) => conn.pause(),
            (Input::Resume, _) => conn.resume(),
            (Input::Connect, Detail::To(Some(_), to)) => {
                let _ = conn.connect(to);
            }
            (Input::With, _) => {
                if conn.with(token, |other| self.go_on(other)).is_none() {
                    self.reel.diverge(format!("{token} cannot be borrowed"));
                }
            }
            _ => call_all(&self.reel, conn.all(), token, input, detail),
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
            } else if let Entry::Call(token, input, detail) = entry {
                call_all(&self.reel, all, token, input, detail);
            } else {
                return self.reel.diverge(AWAITED.into());
            }
        }
    }
}

/// Makes a call that is about no connection in particular, or names it. A free timer is named by the index.
pub(super) fn call_all(
    reel: &Reel,
    all: &mut Connections<'_>,
    token: Token,
    input: Input,
    detail: Detail,
) {
    let length = Duration::from_nanos(match detail {
        Detail::Number(nanos) => nanos,
        Detail::None | Detail::Hash(_) | Detail::To(..) | Detail::Datagram(..) => 0,
    });
    match (input, detail) {
        (Input::SendTo { len, .. }, _) => drop(all.send_to(token, &nothing(len))),
        (Input::Connect, Detail::To(None, to)) => drop(all.connect(to)),
        (Input::FinishOf, _) => all.finish(token),
        (Input::AbortOf, _) => all.abort(token),
        (Input::SetTimer { .. }, _) => all.set_timer_of(token, length),
        (Input::CancelTimer, _) => all.cancel_timer_of(token),
        (Input::SetFreeTimer { .. }, _) => drop(all.set_timer(token.index(), length)),
        (Input::SetInterval { .. }, _) => drop(all.set_interval(token.index(), length)),
        (Input::CancelFreeTimer, _) => all.cancel_timer(token.index()),
        (Input::WatchFor(directions), _) => all.watch_for(token, directions),
        (Input::Unwatch, _) => all.unwatch(token),
        (Input::SendDatagram { len, .. }, Detail::Datagram(None, to, _)) => {
            let _ = all.send_datagram(token, to, &nothing(len));
        }
        (Input::SendDatagram { len, .. }, Detail::Datagram(Some(local), to, _)) => {
            let _ = all.send_datagram_from(token, local, to, &nothing(len));
        }
        (Input::CloseDatagrams, _) => all.close_datagrams(token),
        _ => reel.diverge(format!(
            "no handler runs that could make this call: {input}"
        )),
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

    fn datagram_writable(&mut self, all: &mut Connections<'_>, _: Token) {
        self.play_all(all);
    }

    fn datagram_failed(&mut self, all: &mut Connections<'_>, _: Token, _: Fault) {
        self.play_all(all);
    }

    fn unwatched(&mut self, all: &mut Connections<'_>, _: Token, _: Fault) {
        self.play_all(all);
    }
}
