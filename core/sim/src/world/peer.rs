//! [`Script`]: what a peer does; [`Peer`]: what became of it.

use crate::kernel::{Family, Fd, Kernel, Shutdown};
use crate::random::Random;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use tidegate_core::Instant;
use tidegate_core::errno::Errno;

/// What a peer does, step by step; while it does, it reads whatever comes, unless it stalls. A peer at the end of its
/// script goes on reading, and closes once it has read the end.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    Urgent(u8),
    Segments(usize),
    Expect(usize),
    Wait(Duration),
    Reading(bool),
    Vanish,
    Finish,
    Reset,
    Close,
}

impl Script {
    /// A peer that connects, and only reads.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Sends these bytes, as fast as they fit.
    #[must_use]
    pub fn send(self, bytes: &[u8]) -> Self {
        self.then(Step::Send(bytes.to_vec()))
    }

    /// Sends one urgent byte, which is not part of the stream. Waits until an earlier one was passed: overtaken, it
    /// would become part of it.
    #[must_use]
    pub fn send_urgent(self, byte: u8) -> Self {
        self.then(Step::Urgent(byte))
    }

    /// From here on sends at most this many bytes at a time, at least 1.
    #[must_use]
    pub fn segments(self, bytes: usize) -> Self {
        self.then(Step::Segments(bytes.max(1)))
    }

    /// Waits until it has received so many bytes in all, or the end.
    #[must_use]
    pub fn expect(self, bytes: usize) -> Self {
        self.then(Step::Expect(bytes))
    }

    /// Lets so much time pass.
    #[must_use]
    pub fn wait(self, length: Duration) -> Self {
        self.then(Step::Wait(length))
    }

    /// Reads nothing from here on.
    #[must_use]
    pub fn stall(self) -> Self {
        self.then(Step::Reading(false))
    }

    /// Reads again.
    #[must_use]
    pub fn resume(self) -> Self {
        self.then(Step::Reading(true))
    }

    /// Is gone from here on, without notice: neither does it read or send, nor does its kernel respond.
    #[must_use]
    pub fn vanish(self) -> Self {
        self.then(Step::Vanish)
    }

    /// Sends FIN, and goes on reading.
    #[must_use]
    pub fn finish(self) -> Self {
        self.then(Step::Finish)
    }

    /// Resets the connection.
    #[must_use]
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Closes, read or not: what was not read makes it a reset.
    #[must_use]
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// A peer that does this and that, up to about `steps` things.
    #[must_use]
    pub fn random(random: &mut Random, steps: u32) -> Self {
        let mut script = Self::new();
        for _ in 0..random.below(steps) {
            script = match random.below(12) {
                0 => script.stall(),
                1 => script.resume(),
                2 => script.segments(random.length(64) as usize),
                3 => script.wait(Duration::from_millis(random.length(100_000).into())),
                4 if random.one_in(3) => return script.reset(),
                5 if random.one_in(3) => return script.close(),
                6 if random.one_in(3) => script.finish(),
                7 if random.one_in(3) => script.send_urgent(b'!'),
                _ => {
                    let mut bytes = vec![0; random.length(3000) as usize];
                    for byte in &mut bytes {
                        let [low, ..] = random.next_u64().to_le_bytes();
                        *byte = low;
                    }
                    script.send(&bytes)
                }
            };
        }
        if random.one_in(2) {
            script.resume().finish()
        } else {
            script
        }
    }
}

/// How a connection ended, as its peer sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It has not.
    Open,
    /// The end was read, after everything.
    Finished,
    /// A call failed with this: reset, refused.
    Failed(Errno),
    /// The peer itself reset or closed before it had read the end.
    Left,
}

/// A scripted client of the session under test.
#[derive(Clone, Debug)]
pub struct Peer {
    script: Script,
    address: SocketAddr,
    socket: Option<Fd>,
    segment: usize,
    reading: bool,
    finished: bool,
    until: Instant,
    sent: Vec<u8>,
    received: Vec<u8>,
    end: End,
}

impl Peer {
    pub(super) fn new(script: Script, address: SocketAddr) -> Self {
        Self {
            script,
            address,
            socket: None,
            segment: usize::MAX,
            reading: true,
            finished: false,
            until: Instant::ZERO,
            sent: Vec::new(),
            received: Vec::new(),
            end: End::Open,
        }
    }

    /// Where it connects from.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the kernel took from it, urgent bytes aside.
    #[must_use]
    pub fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// What it has read.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// How it ended.
    #[must_use]
    pub const fn end(&self) -> End {
        self.end
    }

    /// Until when it lets time pass, if it does.
    pub(super) fn waits_until(&self, now: Instant) -> Option<Instant> {
        (self.end == End::Open && self.until > now).then_some(self.until)
    }

    pub(super) const fn has_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// From now on it behaves: no more waits, also not for an urgent byte to be passed, it reads, and sends FIN when
    /// its script is done.
    pub(super) fn behave(&mut self) {
        self.until = Instant::ZERO;
        self.reading = true;
        self.script.steps.retain(|step| match step {
            Step::Send(_) | Step::Segments(_) | Step::Finish | Step::Reset | Step::Close => true,
            Step::Urgent(_) | Step::Expect(_) | Step::Wait(_) | Step::Reading(_) | Step::Vanish => {
                false
            }
        });
        self.script.steps.push(Step::Finish);
    }

    /// Does something, if it can; returns whether it did.
    pub(super) fn act(&mut self, kernel: &mut Kernel, port: u16, now: Instant) -> bool {
        if self.end != End::Open {
            return false;
        }
        let Some(socket) = self.socket else {
            let Ok(socket) = kernel.socket_from(Family::Tcp, Some(self.address)) else {
                return false;
            };
            self.socket = Some(socket);
            // In progress; a refusal is read off the socket.
            let _ = kernel.connect(socket, port);
            return true;
        };
        let read = self.reading && self.read(kernel, socket);
        let stepped = self.end == End::Open && self.step(kernel, socket, now);
        read || stepped
    }

    fn read(&mut self, kernel: &mut Kernel, socket: Fd) -> bool {
        let mut bytes = [0; 512];
        match kernel.recv(socket, &mut bytes) {
            Ok(0) => {
                // What is still to be sent is sent before it closes.
                if self.script.steps.is_empty() {
                    self.leave(kernel, End::Finished);
                    return true;
                }
                false
            }
            Ok(n) => {
                self.received.extend(bytes.iter().take(n));
                true
            }
            Err(Errno::AGAIN) => false,
            Err(errno) => {
                self.leave(kernel, End::Failed(errno));
                true
            }
        }
    }

    fn step(&mut self, kernel: &mut Kernel, socket: Fd, now: Instant) -> bool {
        if self.until > now {
            return false;
        }
        let Some(step) = self.script.steps.first_mut() else {
            return false;
        };
        match step {
            Step::Send(bytes) if self.finished || bytes.is_empty() => {}
            Step::Send(bytes) => {
                let most = bytes.len().min(self.segment);
                return match kernel.send(socket, bytes.get(..most).unwrap_or_default()) {
                    Ok(n) => {
                        self.sent.extend(bytes.drain(..n));
                        true
                    }
                    Err(Errno::AGAIN) => false,
                    Err(errno) => self.refused(kernel, errno),
                };
            }
            Step::Urgent(byte) => {
                let byte = *byte;
                if kernel.has_urgent(socket) {
                    return false;
                }
                if kernel.send_urgent(socket, byte) == Err(Errno::AGAIN) {
                    return false;
                }
            }
            Step::Segments(bytes) => self.segment = *bytes,
            Step::Expect(bytes) => {
                let enough = self.received.len() >= *bytes;
                let ended = kernel.unread(socket) == Ok(0) && self.has_end(kernel, socket);
                if !enough && !ended {
                    return false;
                }
            }
            Step::Wait(length) => self.until = now.plus(*length),
            Step::Reading(reading) => self.reading = *reading,
            Step::Vanish => {
                let _ = kernel.vanish(socket);
                self.reading = false;
                self.script.steps.clear();
                return true;
            }
            Step::Finish if self.finished => {}
            Step::Finish => {
                match kernel.send(socket, &[]) {
                    Ok(_) => {}
                    // It is not connected yet: FIN would be lost.
                    Err(Errno::AGAIN) => return false,
                    Err(errno) => return self.refused(kernel, errno),
                }
                self.finished = true;
                // It may be over already.
                let _ = kernel.shutdown(socket, Shutdown::Write);
            }
            Step::Reset => {
                let _ = kernel.reset_on_close(socket);
                self.leave(kernel, End::Left);
                return true;
            }
            Step::Close => {
                self.leave(kernel, End::Left);
                return true;
            }
        }
        self.script.steps.remove(0);
        true
    }

    fn has_end(&self, kernel: &mut Kernel, socket: Fd) -> bool {
        use crate::flags::EpollFlags;
        kernel
            .poll(socket)
            .is_ok_and(|bits| bits.contains(EpollFlags::RDHUP))
    }

    /// Its bytes are not taken any more. What there is to read it still reads.
    fn refused(&mut self, kernel: &mut Kernel, errno: Errno) -> bool {
        self.finished = true;
        self.script.steps.clear();
        if errno != Errno::PIPE {
            self.leave(kernel, End::Failed(errno));
        }
        true
    }

    fn leave(&mut self, kernel: &mut Kernel, end: End) {
        self.end = end;
        if let Some(socket) = self.socket.take() {
            let _ = kernel.close(socket);
        }
    }
}
