//! What the result of a call means to the machine, as in the Linux driver. What its error means is the core's table.

use crate::kernel::{Fd, Kernel};
use tidegate_core::Outcome;
use tidegate_core::errno::{self, Errno};

/// So many bytes moved; `short` if fewer than requested is significant.
pub(super) fn moved(n: usize, asked: usize, short: bool) -> Outcome {
    let count = u32::try_from(n).unwrap_or(u32::MAX);
    if short && n < asked {
        Outcome::Drained(count)
    } else {
        Outcome::Complete(count)
    }
}

/// A transfer, or a question about one, failed.
pub(super) fn of_transfer(kernel: &Kernel, fd: Fd, errno: Errno) -> Outcome {
    if kernel.is_terminal(fd) {
        errno::stream(errno)
    } else {
        errno::transfer(errno)
    }
}
