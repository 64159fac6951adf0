//! A [`SocketState`] and a kernel with one connection are the same.

use super::tcp;
use crate::kernel::Shutdown;
use crate::{Endpoint, Fd, Interest, Kernel, Random, SocketState};
use tidegate_core::errno::{self, Errno};
use tidegate_core::{Directions, Outcome, Token, Trigger};

const BUFFER: usize = 6;
const TOKEN: Token = Token::from_bits(1 << 32);

struct Both {
    kernel: Kernel,
    set: Fd,
    peer: Fd,
    socket: Fd,
    armed: Directions,
    small: SocketState,
}

impl Both {
    fn new() -> Self {
        let (mut kernel, set, peer, socket) = tcp();
        kernel.limits_mut().tcp_buffer = BUFFER;
        let small = SocketState::new(Endpoint::connected(crate::Family::Tcp), BUFFER);
        Self {
            kernel,
            set,
            peer,
            socket,
            armed: Directions::NONE,
            small,
        }
    }

    /// The same thing happens to both, and comes to the same.
    fn step(&mut self, random: &mut Random, trigger: Trigger) {
        let n = random.below(4) + 1;
        match random.below(9) {
            0 => self.arm(random, trigger),
            1 => {
                let reports = self.kernel.epoll_wait(self.set, 2).unwrap();
                let would = self.small.would_report();
                let event = self.small.report(TOKEN);
                assert_eq!(reports.first().map(|report| report.event()), event);
                assert_eq!(would, event.is_some());
            }
            2 => {
                let mut into = [0; 4];
                let into = into.get_mut(..n as usize).unwrap();
                let received = self.kernel.recv(self.socket, into);
                assert_eq!(self.small.receive(n), outcome(received, n, 1));
            }
            3 => {
                let bytes = [7; 4].get(..n as usize).unwrap();
                let sent = self.kernel.send(self.socket, bytes);
                assert_eq!(self.small.send(n), outcome(sent, n, 0));
            }
            4 if random.one_in(3) => {
                let shut = self.kernel.shutdown(self.socket, Shutdown::Write);
                let outcome = shut.map_or_else(errno::transfer, |()| Outcome::Complete(0));
                assert_eq!(self.small.shut_down(), outcome);
            }
            what => self.network(random, what, n),
        }
        self.is_the_same();
    }

    fn arm(&mut self, random: &mut Random, trigger: Trigger) {
        let all = [
            Directions::NONE,
            Directions::READ,
            Directions::WRITE,
            Directions::BOTH,
            Directions::HANGUP,
        ];
        let now = *random.pick(&all).unwrap();
        let (mask, data) = (Interest::mask_of(now, trigger), TOKEN.to_bits());
        let (set, socket) = (self.set, self.socket);
        let armed = match (self.armed.is_empty(), now.is_empty()) {
            (true, true) => return,
            (false, true) => self.kernel.epoll_delete(set, socket),
            (true, false) => self.kernel.epoll_add(set, socket, mask, data),
            (false, false) => self.kernel.epoll_modify(set, socket, mask, data),
        };
        armed.unwrap();
        self.armed = now;
        self.small.arm(now, trigger);
    }

    /// The peer does something, as far as it can.
    fn network(&mut self, random: &mut Random, what: u32, n: u32) {
        let Self { kernel, peer, .. } = self;
        match what {
            5 => {
                let bytes = [7; 4].get(..n as usize).unwrap();
                if let Ok(sent) = kernel.send(*peer, bytes) {
                    self.small.arrive(u32::try_from(sent).unwrap());
                }
            }
            6 => {
                if let Ok(read) = kernel.recv(*peer, &mut [0; 3]) {
                    self.small.read(u32::try_from(read).unwrap());
                }
            }
            7 if random.one_in(3) && kernel.shutdown(*peer, Shutdown::Write).is_ok() => {
                self.small.end();
            }
            8 if random.one_in(8) && kernel.reset_on_close(*peer).is_ok() => {
                kernel.close(*peer).unwrap();
                self.small.reset();
            }
            _ => {}
        }
    }

    fn is_the_same(&mut self) {
        let at = self.kernel.stream(self.socket).unwrap();
        let held = self.kernel.socket(at).unwrap().end;
        assert_eq!(held, self.small.end);
        let mut end = self.small.end;
        assert_eq!(self.kernel.poll(self.socket), Ok(end.poll(BUFFER)));
        self.small.end = end;
    }
}

/// What a driver makes of the result of a transfer; fewer than `n` bytes, but `least` at least, mean that no more can be moved.
fn outcome(result: Result<usize, Errno>, n: u32, least: u32) -> Outcome {
    match result.map(|moved| u32::try_from(moved).unwrap()) {
        Ok(moved) if moved >= least && moved < n => Outcome::Drained(moved),
        Ok(moved) => Outcome::Complete(moved),
        Err(errno) => errno::transfer(errno),
    }
}

#[test]
fn one_socket_as_a_value_is_the_kernel_with_one_connection() {
    for trigger in [Trigger::Level, Trigger::Edge, Trigger::Oneshot] {
        for seed in 0..400 {
            let mut random = Random::new(seed);
            let mut both = Both::new();
            (0..60).for_each(|_| both.step(&mut random, trigger));
        }
    }
}
