//! [`App`]: handlers of several manners.

use core::time::Duration;
use tidegate_core::sim::Random;
use tidegate_core::{Conn, Connections, Handler};

/// What a handler is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Sends back what comes, and finishes after the peer.
    Echo,
    /// Sends what comes to all others.
    Chat,
    /// Answers each byte with so many.
    Long(u32),
    /// Does this and that, by a seed.
    Whim(u64),
}

/// A handler of some manner.
#[derive(Clone, Debug)]
pub struct App {
    manner: Manner,
    random: Random,
}

/// Bytes still to be sent, and whether the peer has finished.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    left: u32,
    ended: bool,
}

impl App {
    /// One of this manner.
    #[must_use]
    pub const fn new(manner: Manner) -> Self {
        let seed = match manner {
            Manner::Whim(seed) => seed,
            Manner::Echo | Manner::Chat | Manner::Long(_) => 0,
        };
        Self {
            manner,
            random: Random::new(seed),
        }
    }

    fn act(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        match self.manner {
            Manner::Echo => {
                let data = conn.data();
                let n = data.len().min(conn.room());
                if conn.send(&data[..n]).is_ok() {
                    conn.consume(n);
                }
            }
            Manner::Chat => {
                conn.send_others(conn.data());
                conn.consume(conn.data().len());
            }
            Manner::Long(each) => {
                if !pour(conn, state) {
                    return;
                }
                while !conn.data().is_empty() {
                    state.left = each;
                    conn.consume(1);
                    if !pour(conn, state) {
                        return;
                    }
                }
            }
            Manner::Whim(_) => self.whim(conn),
        }
        if state.ended && conn.data().is_empty() && !matches!(self.manner, Manner::Whim(_)) {
            conn.finish();
        }
    }

    fn whim(&mut self, conn: &mut Conn<'_>) {
        for _ in 0..self.random.below(4) {
            match self.random.below(40) {
                0 => conn.finish(),
                1 => conn.abort(),
                2..=4 => conn.pause(),
                5..=9 => conn.resume(),
                10..=19 => {
                    let bytes = [7; 90];
                    let n = self.random.length(90) as usize;
                    let _ = conn.send(&bytes[..n]);
                }
                20 => {
                    conn.send_others(b"to the others");
                }
                21 => {
                    let others: Vec<_> = conn.connections().collect();
                    if let Some(other) = self.random.pick(&others) {
                        let _ = conn.send_to(*other, b"to one");
                        if self.random.below(8) == 0 {
                            let abroad = *other != conn.token();
                            assert_eq!(conn.abort_other(*other), abroad, "{other:?}");
                        }
                    }
                }
                22..=24 => {
                    let space = conn.space();
                    let n = space.len() / 2;
                    space.fill(9);
                    conn.commit(n);
                }
                25 => {
                    let length = Duration::from_millis(u64::from(self.random.below(3_000)));
                    conn.set_timer(length);
                    let _ = conn.all().set_timer(self.random.below(16), length);
                }
                26 => conn.cancel_timer(),
                _ => conn.consume(self.random.length(64) as usize),
            }
        }
    }
}

/// Sends what is left of an answer; tells whether all of it was taken.
fn pour(conn: &mut Conn<'_>, state: &mut State) -> bool {
    while state.left > 0 {
        let bytes = [b'.'; 50];
        let n = state.left.min(50);
        if conn.send(&bytes[..n as usize]).is_err() {
            return false;
        }
        state.left -= n;
    }
    true
}

impl Handler for App {
    type State = State;
    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.act(conn, state);
    }
    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.act(conn, state);
    }
    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.act(conn, state);
    }
    fn tick(&mut self, all: &mut Connections<'_>, _: u32, periods: u64) {
        assert_eq!(periods, 1, "of one that comes once");
        all.send_all(b"tick");
    }
    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        state.ended = true;
        self.act(conn, state);
    }
}
