//! The flight recorder, printed: on SIGUSR2, on the control socket, and when a loop panics.

use super::lines::{LOG, OUTPUT, Sink};
use super::reserved::AnyServer;
use core::fmt::Write;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};
use tidegate::trace::{RECORDED, RecordedInput};
use tidegate_core::heapless::String as Text;

/// The longest line of an input, its end included.
const LINE: usize = 112;

/// All of them, and the end of a reply.
pub(crate) type Lines = Text<{ (RECORDED + 1) * LINE }>;

/// The threads that were asked and have not printed, a bit each.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// Requests the flight recorders of all loops; each shall be woken then.
pub(crate) fn ask() {
    ASKED.store(u32::MAX, Ordering::Release);
}

/// Prints this thread's flight recorder, if it was requested.
pub(crate) fn print_if_asked(thread: u32, server: &AnyServer) {
    let bit = 1 << thread;
    if ASKED.load(Ordering::Relaxed) & bit != 0 {
        ASKED.fetch_and(!bit, Ordering::AcqRel);
        print(&OUTPUT, thread, server);
    }
}

fn print(out: &Sink, thread: u32, server: &AnyServer) {
    for kept in server.session().machine().last_inputs() {
        out.line(format_args!("recorder: {thread}: {kept}"));
    }
}

/// A line for each input.
pub(crate) fn lines(recorded: impl Iterator<Item = RecordedInput>) -> Lines {
    let mut text = Lines::new();
    for kept in recorded {
        // The buffer fits the longest line: a test asserts that.
        let _ = writeln!(text, "{kept}");
    }
    text
}

/// A server whose flight recorder is logged when its loop panics.
pub(crate) struct Recorded<'s> {
    pub(crate) thread: u32,
    pub(crate) server: &'s mut AnyServer,
}

impl Deref for Recorded<'_> {
    type Target = AnyServer;

    fn deref(&self) -> &AnyServer {
        self.server
    }
}

impl DerefMut for Recorded<'_> {
    fn deref_mut(&mut self) -> &mut AnyServer {
        self.server
    }
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print(&LOG, self.thread, self.server);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate::trace::Input;
    use tidegate::{Fault, Token};
    use tidegate_core::{Instant, Op, Outcome};

    #[test]
    fn the_longest_line_fits() {
        let token = Token::from_bits(u64::MAX);
        let fault = Fault::Exhausted(u16::MAX);
        let inputs = [
            Input::done(Op::ReceiveFrom, &Outcome::Failed(fault)),
            Input::done(Op::Shutdown, &Outcome::Drained(u32::MAX)),
            Input::Handled {
                consumed: u16::MAX,
                queued: u32::MAX,
            },
            Input::Listen {
                limited: true,
                per_source: u32::MAX,
            },
            Input::SendDatagram {
                len: u32::MAX,
                taken: false,
            },
        ];
        for input in inputs {
            let at = Instant::NEVER;
            let line = format!("{}\n", RecordedInput { at, token, input });
            assert!(line.len() <= LINE, "{line}");
        }
    }
}
