//! What the handler of one connection may know of the others, and do to them: for those that control a server.

use super::conn::Conn;
use crate::dispatcher::calls::Info;
use crate::stats::Stats;
use crate::token::Token;
use crate::trace::{Input, RecordedInput};

/// All connections.
impl Conn<'_> {
    /// The counters of this session.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.all.machine.stats()
    }

    /// The flight recorder: what went in last, [`RECORDED`](crate::trace::RECORDED) inputs at most, the oldest first.
    pub fn last_inputs(&self) -> impl Iterator<Item = RecordedInput> + '_ {
        self.all.machine.last_inputs()
    }

    /// What is known of a live connection, this one or another.
    #[must_use]
    pub fn info_of(&self, token: Token) -> Option<Info> {
        self.all.machine.info(token)
    }

    /// Closes another connection at once, as [`abort`](Self::abort) does this one; returns whether the token names one.
    /// Its handler method is called in its own service.
    pub fn abort_other(&mut self, token: Token) -> bool {
        match self.all.machine.connection(token) {
            Some(index) if index != self.all.own => {
                self.all.record(token, Input::AbortOf);
                self.all.machine.abort(token);
                true
            }
            Some(_) | None => false,
        }
    }

    /// As [`send_others`](Self::send_others), but only to those that `to` holds for.
    pub fn send_others_where(&mut self, bytes: &[u8], to: impl Fn(&Info) -> bool) -> u32 {
        self.all.send_all_where(bytes, to)
    }
}
