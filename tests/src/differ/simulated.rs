//! The simulated side.

use super::operation::{Answer, BACKLOG, LISTENER, Operation, PORT, URGENT, pattern};
use super::ring::{self, CANCELLED, Ring, Submission};
use tidegate_sim::{Errno, Family, Kernel};

/// A kernel as a session finds it: two sets, for TCP a listener, and a descriptor instead of a ring.
#[must_use]
pub(super) fn prepared(mut kernel: Kernel, family: Family, ring: bool) -> Kernel {
    for _ in 0..2 {
        kernel.epoll_create().expect("a set");
    }
    if family == Family::Tcp {
        kernel
            .listen(Family::Tcp, PORT, BACKLOG)
            .expect("a listener");
    }
    if ring {
        kernel.epoll_create().expect("a descriptor");
    }
    kernel
}

/// Makes one call.
pub(super) fn perform(kernel: &mut Kernel, ring: &mut Ring, operation: Operation) -> Answer {
    let answer = call(kernel, ring, operation);
    ring.wake(kernel);
    answer
}

fn call(kernel: &mut Kernel, ring: &mut Ring, operation: Operation) -> Answer {
    let done = |()| Answer::Done;
    match operation {
        Operation::Pair => kernel
            .pair()
            .map(|(one, other)| Answer::Descriptors(vec![one, other])),
        Operation::Connect => kernel.socket_from(Family::Tcp, None).map(|fd| {
            let connected = kernel.connect(fd, PORT);
            Answer::Connecting(fd, connected.err().unwrap_or(Errno::new(0)))
        }),
        Operation::Accept => kernel
            .accept(LISTENER)
            .map(|(fd, _)| Answer::Descriptors(vec![fd])),
        Operation::Dup(fd) => kernel.dup(fd).map(|fd| Answer::Descriptors(vec![fd])),
        Operation::Close(fd) => kernel.close(fd).map(done),
        Operation::Add(set, fd, mask, data) => kernel.epoll_add(set, fd, mask, data).map(done),
        Operation::Modify(set, fd, mask, data) => {
            kernel.epoll_modify(set, fd, mask, data).map(done)
        }
        Operation::Delete(set, fd) => kernel.epoll_delete(set, fd).map(done),
        Operation::Wait(set, most) => kernel.epoll_wait(set, most).map(Answer::Reports),
        Operation::Send(fd, len) => kernel.send(fd, pattern(fd, len)).map(Answer::Count),
        Operation::SendUrgent(fd) => kernel.send_urgent(fd, URGENT).map(done),
        Operation::Recv(fd, len) => {
            let mut bytes = vec![0; len];
            kernel.recv(fd, &mut bytes).map(|n| {
                bytes.truncate(n);
                Answer::Bytes(bytes)
            })
        }
        Operation::Shutdown(fd, how) => {
            ring.wake_all(fd);
            kernel.shutdown(fd, how).map(done)
        }
        Operation::TakeError(fd) => kernel.take_error(fd).map(Answer::Error),
        Operation::Unsent(fd) => kernel.unsent(fd).map(Answer::Count),
        Operation::ResetOnClose(fd) => kernel.reset_on_close(fd).map(done),
        Operation::Submit(fd, submission) => {
            ring.gather(fd, submission);
            Ok(Answer::Done)
        }
        Operation::Complete => Ok(ring::sorted(ring.complete(kernel))),
        Operation::Leave(fd) => {
            for operation in CANCELLED {
                ring.gather(fd, Submission::Cancel(operation));
            }
            let completed = ring.complete(kernel);
            kernel.close(fd).map(|()| ring::sorted(completed))
        }
    }
    .into()
}
