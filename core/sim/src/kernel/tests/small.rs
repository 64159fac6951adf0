//! A [`SocketState`] and a kernel with one connection are the same.

use super::tcp;
use crate::kernel::Shutdown;
use crate::{Endpoint, Fd, Interest, Kernel, Random, SocketState};
use tidegate_core::errno;
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
        let Self {
            kernel,
            set,
            peer,
            socket,
            ..
        } = self;
        let n = random.below(4) + 1;
        let bytes = [7; 4].get(..n as usize).unwrap();
        match random.below(9) {
            0 => {
                let all = [
                    Directions::NONE,
                    Directions::READ,
                    Directions::WRITE,
                    Directions::BOTH,
                    Directions::HANGUP,
                ];
                let now = *random.pick(&all).unwrap();
                let mask = Interest::mask_of(now, trigger);
                if self.armed.is_empty() && now.is_empty() {
                    return;
                }
                let armed = if now.is_empty() {
                    kernel.epoll_delete(*set, *socket)
                } else if self.armed.is_empty() {
                    kernel.epoll_add(*set, *socket, mask, TOKEN.to_bits())
                } else {
                    kernel.epoll_modify(*set, *socket, mask, TOKEN.to_bits())
                };
                armed.unwrap();
                self.armed = now;
                self.small.arm(now, trigger);
            }
            1 => {
                let reports = kernel.epoll_wait(*set, 2).unwrap();
                let would = self.small.would_report();
                let event = self.small.report(TOKEN);
                assert_eq!(reports.first().map(|report| report.event()), event);
                assert_eq!(would, event.is_some());
            }
            2 => {
                let mut into = [0; 4];
                let into = into.get_mut(..n as usize).unwrap();
                let outcome = match kernel.recv(*socket, into) {
                    Ok(moved) if moved > 0 && moved < n as usize => {
                        Outcome::Drained(u32::try_from(moved).unwrap())
                    }
                    Ok(moved) => Outcome::Complete(u32::try_from(moved).unwrap()),
                    Err(errno) => errno::transfer(errno),
                };
                assert_eq!(self.small.receive(n), outcome);
            }
            3 => {
                let outcome = match kernel.send(*socket, bytes) {
                    Ok(moved) if moved < n as usize => {
                        Outcome::Drained(u32::try_from(moved).unwrap())
                    }
                    Ok(moved) => Outcome::Complete(u32::try_from(moved).unwrap()),
                    Err(errno) => errno::transfer(errno),
                };
                assert_eq!(self.small.send(n), outcome);
            }
            4 if random.one_in(3) => {
                let shut = kernel.shutdown(*socket, Shutdown::Write);
                let outcome = shut.map_or_else(errno::transfer, |()| Outcome::Complete(0));
                assert_eq!(self.small.shut_down(), outcome);
            }
            5 => {
                if let Ok(sent) = kernel.send(*peer, bytes) {
                    self.small.arrive(u32::try_from(sent).unwrap());
                }
            }
            6 => {
                if let Ok(read) = kernel.recv(*peer, &mut [0; 3]) {
                    self.small.read(u32::try_from(read).unwrap());
                }
            }
            7 if random.one_in(3) => {
                if kernel.shutdown(*peer, Shutdown::Write).is_ok() {
                    self.small.end();
                }
            }
            8 if random.one_in(8) => {
                if kernel.reset_on_close(*peer).is_ok() {
                    kernel.close(*peer).unwrap();
                    self.small.reset();
                }
            }
            _ => {}
        }
        self.is_the_same();
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
