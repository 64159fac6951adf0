//! The closing phase: from now on peers and kernel behave, so all that can happen must happen, and then it must end.

use super::connection::{Connection, Stage};
use super::drive::Drive;
use super::input::{N, nanos_of};
use super::world::World;
use tidegate_core::FullTable;

/// Iterations in which a few connections of a few hundred bytes must have come to rest, whatever went before.
const ITERATIONS: u32 = 20_000;

impl<W: World> Drive<'_, W> {
    /// Lets everything come to rest, then stops.
    pub(super) fn close(&mut self) {
        self.shared.borrow_mut().tame = true;
        self.calm_watches();
        self.calm_datagrams();
        self.now = self.now.max(self.core().now());
        let until = |pause| super::input::moved(self.now, nanos_of(Some(pause)) * 4, false);
        let paused = until(self.plan.config.pause_max + self.plan.config.congestion);
        // Three waits for memory without success.
        let congested = until(self.plan.config.pause_max + self.plan.config.congestion * 32);
        self.come_to_rest(|drive| {
            let model = drive.model();
            let waits = model.live().any(|(_, of)| of.is_congested());
            let until = if waits { congested } else { paused };
            drive.core().poll_timeout().is_none_or(|due| due > until)
        });
        if !self.model().has_stopped() {
            self.nothing_was_lost();
        }
        self.no_datagram_was_lost();
        self.cancel_free_timers();
        self.unwatch_all();
        self.close_all_datagrams();
        self.stop();
    }

    /// Iterations until nothing is reported, nothing is due and `rests` says that no time need pass.
    fn come_to_rest(&mut self, rests: impl Fn(&Self) -> bool) {
        let mut idle = 0;
        for _ in 0..ITERATIONS {
            self.peers_behave();
            self.visit_all();
            let reported = self.wait(N + 2);
            self.begin_turn();
            self.drain();
            let answered = self.answer_pending();
            let progress = self.outputs > 0 || answered;
            // Law 9: at most one iteration in a row with an event and no progress.
            idle = if reported > 0 && !progress {
                idle + 1
            } else {
                0
            };
            assert!(idle <= 1, "it spins");
            if progress || reported > 0 || self.core().has_work() {
                continue;
            }
            if rests(self) {
                return;
            }
            let due = self
                .core()
                .poll_timeout()
                .expect("nothing will ever happen");
            assert!(
                due > self.core().now(),
                "a deadline that passed is due for ever"
            );
            self.now = due;
        }
        panic!("no rest after {ITERATIONS} iterations");
    }

    fn answer_pending(&mut self) -> bool {
        let mut answered = false;
        for action in core::mem::take(&mut self.pending) {
            match self.honest(action) {
                Some(outcome) => {
                    self.answer(action, outcome);
                    answered = true;
                }
                None => self.pending.push(action),
            }
        }
        answered
    }

    fn peers_behave(&mut self) {
        let mute = self.plan.mute;
        self.kernel.connects_come_to_an_end();
        for socket in self.kernel.sockets.values_mut() {
            socket.state.read(u32::MAX);
            if socket.shut && !mute {
                socket.state.end();
            }
        }
    }

    /// The application takes what it had left, and resumes what it had paused.
    fn visit_all(&mut self) {
        let waiting: Vec<_> = (self.model().live())
            .filter(|(_, connection)| {
                connection.is_live()
                    && !connection.finished
                    && (connection.paused || connection.unread() > 0 || connection.ended)
            })
            .map(|(token, _)| token)
            .collect();
        for token in waiting {
            self.visit(token);
            self.check();
        }
    }

    /// Whatever the kernel has for a connection that nothing was wrong with was taken, and what it queued was sent.
    fn nothing_was_lost(&mut self) {
        let model = self.model();
        let mut taken = 0;
        let mut idle = Vec::new();
        for (token, connection) in model.live() {
            taken += 1;
            assert!(
                connection.stage == Stage::Told || self.plan.completions,
                "{token:?} never opened"
            );
            if !connection.goes_on() {
                continue;
            }
            let socket = &self.kernel.sockets[&token];
            if socket.misled || (socket.shut && !connection.shut) {
                continue;
            }
            if connection.pending().is_empty() {
                idle.push(connection);
            }
            assert!(
                socket.state.end.unread == 0 || !connection.receives(),
                "input that is not received: {token:?}"
            );
            assert!(
                !socket.state.end.ended || connection.ended,
                "an EOF that is not received: {token:?}"
            );
            // Without readiness a hang-up is noticed by receiving only.
            let learns = connection.receives() || !self.plan.completions;
            assert!(
                !socket.is_reset() || !learns,
                "a reset that is not noticed: {token:?}"
            );
            assert!(
                connection.pending().is_empty(),
                "output that is not sent: {token:?}"
            );
        }
        for (token, backlog) in &self.kernel.backlogs {
            if backlog.is_empty() {
                continue;
            }
            assert!(
                taken + model.withheld_from(*token) >= self.plan.limit
                    || model.has_its_most(*token),
                "{token:?}: a slot is free, and no connection is accepted"
            );
            match self.plan.config.full {
                FullTable::Wait => {}
                FullTable::Refuse => panic!("{token:?}: none is refused"),
                FullTable::Evict | FullTable::EvictHalfClosed => {
                    let may_go = |idle: &&Connection| {
                        let any = self.plan.config.full == FullTable::Evict;
                        let of_policy = any || idle.is_half_closed();
                        let own = !model.has_its_most(*token) || idle.listener == *token;
                        of_policy && own && !model.is_reserved_from(idle, *token)
                    };
                    let stays = idle.iter().find(|idle| may_go(idle));
                    assert!(stays.is_none(), "{token:?}: none is evicted: {stays:?}");
                }
            }
        }
    }

    /// After `stop` all is closed, and at its time whatever is left.
    fn stop(&mut self) {
        let by = super::input::moved(self.now, 1000 * self.plan.unit, false);
        if !self.model().has_stopped() {
            self.stop_by(by);
        }
        let by = self.model().stop_at.unwrap_or(by);
        self.come_to_rest(|drive| drive.core().poll_timeout().is_none());
        assert!(self.core().is_stopped(), "stop does not end");
        assert!(
            self.core().now() <= by.max(self.now),
            "later than it had to"
        );
        assert_eq!(self.core().listening(), 0);
        assert_eq!(self.core().armed().count(), 0);
        assert_eq!(self.core().poll_timeout(), None);
        assert!(self.pending.is_empty(), "{:?}", self.pending);
        let model = self.model();
        assert!(model.listeners.values().all(|listener| listener.gone));
        assert!(
            model
                .connections
                .values()
                .all(|connection| connection.stage == Stage::Gone)
        );
        assert!(self.kernel.sockets.is_empty());
    }
}
