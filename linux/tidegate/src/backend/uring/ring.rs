//! [`Ring`]: the two queues of `io_uring(7)`, and the one call that submits and waits.
//!
//! Submissions are gathered and submitted by the same call that waits for completions. Completions are posted only
//! inside that call (`IORING_SETUP_DEFER_TASKRUN`, Linux 6.1): the kernel touches no memory of ours at any other time.

use super::mapping::Mapping;
use core::fmt;
use core::ptr::{NonNull, from_ref};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::io_uring::{
    IORING_OFF_SQ_RING, IORING_OFF_SQES, IoringAsyncCancelFlags, IoringCqeFlags, IoringEnterFlags,
    IoringFeatureFlags, IoringRegisterOp, IoringSetupFlags, IoringSqFlags, io_uring_cqe,
    io_uring_enter, io_uring_enter_arg, io_uring_getevents_arg, io_uring_params, io_uring_ptr,
    io_uring_register, io_uring_setup, io_uring_sqe, io_uring_sync_cancel_reg,
};
use rustix::time::Timespec;

/// The completion of a submission.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    /// The word that the submission carried.
    pub(super) data: u64,
    /// As the system call would have returned; an error as its negative number.
    pub(super) result: i32,
    pub(super) flags: IoringCqeFlags,
}

impl Completion {
    /// The number that was returned, or the error.
    pub(super) fn returned(&self) -> Result<u32, Errno> {
        u32::try_from(self.result).map_err(|_| Errno::from_raw_os_error(-self.result))
    }

    /// Whether the submission goes on, and completes again.
    pub(super) fn goes_on(&self) -> bool {
        self.flags.contains(IoringCqeFlags::MORE)
    }

    /// The provided buffer that was filled.
    pub(super) fn buffer(&self) -> Option<u16> {
        let id = self.flags.bits() >> rustix::io_uring::IORING_CQE_BUFFER_SHIFT;
        (self.flags.contains(IoringCqeFlags::BUFFER)).then(|| u16::try_from(id).unwrap_or(u16::MAX))
    }
}

/// A ring of this thread's own.
pub(super) struct Ring {
    fd: OwnedFd,
    queues: Mapping,
    entries: Mapping,
    params: io_uring_params,
    /// Where the next submission goes.
    tail: u32,
    /// Submissions that the kernel does not know of.
    pending: u32,
    /// The next completion to be read.
    head: u32,
    /// The kernel has dropped completions, for resource exhaustion.
    dropped: bool,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("fd", &self.fd)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Ring {
    /// A ring that takes `submissions` at once and holds `completions`; both are powers of two.
    ///
    /// # Errors
    ///
    /// `ENOSYS`, `EPERM`: the kernel has no io_uring, or refuses it. `EINVAL`: the kernel is older than Linux 6.1.
    /// `ENOMEM`, `EMFILE`, `ENFILE`: resource exhaustion. `io_uring_setup(2)`, section "ERRORS".
    pub(super) fn new(submissions: u32, completions: u32) -> Result<Self, Errno> {
        let mut params = io_uring_params::default();
        params.cq_entries = completions;
        params.flags = IoringSetupFlags::CQSIZE
            | IoringSetupFlags::SINGLE_ISSUER
            | IoringSetupFlags::DEFER_TASKRUN
            | IoringSetupFlags::TASKRUN_FLAG
            | IoringSetupFlags::SUBMIT_ALL;
        // SAFETY: no descriptor is passed with these parameters.
        let fd = unsafe { io_uring_setup(submissions, &mut params) }?;
        let needed = IoringFeatureFlags::SINGLE_MMAP
            | IoringFeatureFlags::NODROP
            | IoringFeatureFlags::EXT_ARG;
        if !params.features.contains(needed) {
            return Err(Errno::NOSYS);
        }
        let array = params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>();
        let cqes =
            params.cq_off.cqes as usize + params.cq_entries as usize * size_of::<io_uring_cqe>();
        let sqes = params.sq_entries as usize * size_of::<io_uring_sqe>();
        let ring = Self {
            queues: Mapping::of_ring(fd.as_fd(), array.max(cqes), IORING_OFF_SQ_RING)?,
            entries: Mapping::of_ring(fd.as_fd(), sqes, IORING_OFF_SQES)?,
            fd,
            params,
            tail: 0,
            pending: 0,
            head: 0,
            dropped: false,
        };
        // The entry of a submission is its number, always.
        for index in 0..ring.params.sq_entries {
            let array = ring.params.sq_off.array as usize;
            let entry = ring.queues.at::<u32>(array, index as usize);
            // SAFETY: inside the mapping, and the kernel knows of no submission yet.
            unsafe { entry.write(index) };
        }
        Ok(ring)
    }

    /// Gathers a submission. If the queue is full, what is gathered is submitted first.
    ///
    /// # Errors
    ///
    /// The queue was full, and the kernel took nothing: it is short of memory. Nothing is gathered.
    ///
    /// # Safety
    ///
    /// What the submission points to must be valid when it is submitted, by [`wait`](Self::wait),
    /// [`hand_over`](Self::hand_over) or another `push`, and until its last completion.
    #[inline]
    pub(super) unsafe fn push(&mut self, submission: io_uring_sqe) -> Result<(), Errno> {
        if self.pending == self.params.sq_entries {
            self.hand_over()?;
            if self.pending == self.params.sq_entries {
                return Err(Errno::NOMEM);
            }
        }
        let index = self.tail & (self.params.sq_entries - 1);
        let entry = self.entries.at::<io_uring_sqe>(0, index as usize);
        // SAFETY: inside the mapping; the kernel has taken the earlier entry, as fewer than all entries are pending,
        // and reads no entry beyond the tail.
        unsafe { entry.write(submission) };
        self.tail = self.tail.wrapping_add(1);
        self.pending += 1;
        Ok(())
    }

    /// Whether something was gathered that the kernel does not know of.
    pub(super) const fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// Submits what was gathered.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)`.
    pub(super) fn hand_over(&mut self) -> Result<(), Errno> {
        self.enter(0, None)
    }

    /// Submits what was gathered and waits for a completion, at most `longest`; `None`: no limit. Returns how many
    /// there are to be read: none if the time passed, a signal came, or the kernel took only submissions. If more are
    /// due than one call returns, it is called again until there are `enough`.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)` but `ETIME`, `EINTR` and `EBUSY`. `ENOMEM`, `EAGAIN`: the kernel is short of
    /// memory, so nothing was submitted and nothing can be read; call it again, but not at once. `EBADR`: it was, and
    /// completions are lost.
    pub(super) fn wait(&mut self, longest: Option<Duration>, enough: u32) -> Result<u32, Errno> {
        // With completions to read there is no reason to wait.
        let at_once = longest == Some(Duration::ZERO) || self.ready() > 0;
        // Without a wait there may be nothing to call the kernel for.
        if !at_once || self.has_pending() || self.has_work() {
            self.enter_unless_short(u32::from(!at_once), longest.filter(|_| !at_once))?;
        }
        if core::mem::take(&mut self.dropped) {
            return Err(Errno::BADR);
        }
        let mut ready = self.ready();
        // One call posts a few only, in the order of completion (`IO_LOCAL_TW_DEFAULT_MAX`, 20).
        while ready < enough && self.has_work() {
            self.enter_unless_short(0, None)?;
            let before = core::mem::replace(&mut ready, self.ready());
            if ready == before {
                break;
            }
        }
        Ok(ready)
    }

    /// Completions that can be read.
    pub(super) fn ready(&self) -> u32 {
        let tail = self.counter(self.params.cq_off.tail);
        // What the kernel wrote before it moved the tail is seen after this.
        tail.load(Ordering::Acquire).wrapping_sub(self.head)
    }

    /// Whether the kernel has completions that it posts when it is called.
    fn has_work(&self) -> bool {
        let flags = self
            .counter(self.params.sq_off.flags)
            .load(Ordering::Relaxed);
        let work = IoringSqFlags::TASKRUN | IoringSqFlags::CQ_OVERFLOW;
        IoringSqFlags::from_bits_retain(flags).intersects(work)
    }

    /// Whether operations wait to be completed by a call.
    fn has_task_work(&self) -> bool {
        let flags = self
            .counter(self.params.sq_off.flags)
            .load(Ordering::Relaxed);
        IoringSqFlags::from_bits_retain(flags).contains(IoringSqFlags::TASKRUN)
    }

    /// The same, but no result is not an error. Neither is resource exhaustion while there is something to be read.
    fn enter_unless_short(
        &mut self,
        at_least: u32,
        longest: Option<Duration>,
    ) -> Result<(), Errno> {
        match self.enter(at_least, longest) {
            Err(Errno::TIME | Errno::INTR | Errno::BUSY) => Ok(()),
            Err(Errno::AGAIN | Errno::NOMEM) if self.ready() > 0 => Ok(()),
            result => result,
        }
    }

    fn enter(&mut self, at_least: u32, longest: Option<Duration>) -> Result<(), Errno> {
        let tail = self.counter(self.params.sq_off.tail);
        // The submissions are seen before the tail that covers them.
        tail.store(self.tail, Ordering::Release);
        let time;
        let mut arg = io_uring_getevents_arg::default();
        let flags = IoringEnterFlags::GETEVENTS;
        let taken = if let Some(longest) = longest {
            time = Timespec {
                tv_sec: longest.as_secs().try_into().unwrap_or(0),
                tv_nsec: longest.subsec_nanos().into(),
            };
            arg.ts = io_uring_ptr::new(from_ref(&time).cast_mut().cast());
            let flags = flags | IoringEnterFlags::EXT_ARG;
            // SAFETY: what the submissions point to is valid, as `push` demands; the time lives until the call returns.
            unsafe { io_uring_enter_arg(&self.fd, self.pending, at_least, flags, Some(&arg)) }
        } else {
            // SAFETY: what the submissions point to is valid, as `push` demands.
            unsafe { io_uring_enter(&self.fd, self.pending, at_least, flags) }
        };
        // If some were taken, their number is returned, whatever happened after.
        match taken {
            Ok(taken) => self.pending = self.pending.saturating_sub(taken),
            // The kernel reports it once, to whichever call comes next.
            Err(Errno::BADR) => self.dropped = true,
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// The next completion.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Completion> {
        if self.ready() == 0 {
            return None;
        }
        let index = self.head & (self.params.cq_entries - 1);
        let offset = self.params.cq_off.cqes as usize;
        let entry: NonNull<[u64; 2]> = self.queues.at(offset, index as usize);
        // SAFETY: inside the mapping, written before the tail moved past it, and not written again before the head
        // does. The entry is 16 bytes without padding, its first 8 the word.
        let [data, rest] = unsafe { entry.read() };
        let [result, flags] = halves(rest);
        self.head = self.head.wrapping_add(1);
        let head = self.counter(self.params.cq_off.head);
        // It was read before the kernel may write there again.
        head.store(self.head, Ordering::Release);
        Some(Completion {
            data,
            result: result.cast_signed(),
            flags: IoringCqeFlags::from_bits_retain(flags),
        })
    }

    /// Cancels everything that was submitted, and makes sure that it has completed; what was only gathered is
    /// forgotten.
    pub(super) fn cancel_all(&mut self) -> Result<(), Errno> {
        // The tail covers only the entries that it has taken.
        self.tail = self.tail.wrapping_sub(self.pending);
        self.pending = 0;
        self.cancel()
    }

    /// Cancels everything that was submitted, and makes sure that it has completed.
    pub(super) fn cancel(&mut self) -> Result<(), Errno> {
        let mut all = io_uring_sync_cancel_reg::default();
        all.fd = -1;
        all.flags = IoringAsyncCancelFlags::ANY | IoringAsyncCancelFlags::ALL;
        // Negative: without a limit (`io_uring_register(2)`).
        all.timeout = Timespec {
            tv_sec: -1,
            tv_nsec: -1,
        };
        // SAFETY: the structure lives until the call returns.
        match unsafe { self.register(IoringRegisterOp::RegisterSyncCancel, from_ref(&all), 1) } {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        // What was found is completed, and releases its file, inside this call, which posts a few only.
        self.dropped = false;
        self.enter(0, None)?;
        let mut calls = 0;
        while self.has_task_work() && !self.dropped && calls < MOST_CALLS {
            self.enter(0, None)?;
            calls += 1;
        }
        if core::mem::take(&mut self.dropped) {
            return Err(Errno::BADR);
        }
        Ok(())
    }

    /// `io_uring_register(2)`.
    ///
    /// # Safety
    ///
    /// `arg` must be what the operation demands, and what it registers must stay valid as long as the ring.
    pub(super) unsafe fn register<T>(
        &self,
        op: IoringRegisterOp,
        arg: *const T,
        count: u32,
    ) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        unsafe { io_uring_register(&self.fd, op, arg.cast(), count) }.map(drop)
    }

    fn counter(&self, offset: u32) -> &AtomicU32 {
        let counter = self.queues.at::<AtomicU32>(offset as usize, 0);
        // SAFETY: inside the mapping, which lives as long as we do; the kernel, too, changes it only atomically.
        unsafe { counter.as_ref() }
    }
}

/// Calls that end everything: more than the most operations take, at 20 a call (`IO_LOCAL_TW_DEFAULT_MAX`).
const MOST_CALLS: u32 = 1 << 20;

/// The two words of a double one, in the order in which they lie in memory.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fd::AsRawFd;
    use rustix::io::write;
    use rustix::io_uring::{IoringOp, addr_or_splice_off_in_union, io_uring_user_data, len_union};
    use std::time::Instant;
    use tidegate_core::heapless::Vec;

    /// `None` where io_uring is refused: by the kernel, a sandbox, an emulator.
    fn ring(submissions: u32, completions: u32) -> Option<Ring> {
        let ring = Ring::new(submissions, completions);
        if let Err(error) = &ring {
            std::eprintln!("not tested here: {error:?}");
        }
        ring.ok()
    }

    fn nop(data: u64) -> io_uring_sqe {
        io_uring_sqe {
            opcode: IoringOp::Nop,
            user_data: io_uring_user_data::from_u64(data),
            ..io_uring_sqe::default()
        }
    }

    #[test]
    fn every_submission_completes_once_and_with_its_word() {
        let Some(mut ring) = ring(8, 16) else { return };
        for round in 0..100u64 {
            for number in 0..13 {
                // SAFETY: it points to nothing.
                unsafe { ring.push(nop(round * 100 + number)) }.expect("capacity");
            }
            assert_eq!(ring.wait(None, 1), Ok(13), "eight went ahead");
            assert!(!ring.has_pending());
            let data: Vec<u64, 16> = core::iter::from_fn(|| ring.next())
                .map(|c| c.data)
                .collect();
            let expected: Vec<u64, 16> = (round * 100..round * 100 + 13).collect();
            assert_eq!(data, expected);
        }
    }

    #[test]
    fn more_completions_than_fit_are_not_lost() {
        let Some(mut ring) = ring(8, 16) else { return };
        for number in 0..50 {
            // SAFETY: it points to nothing.
            unsafe { ring.push(nop(number)) }.expect("capacity");
        }
        let mut data = Vec::<u64, 64>::new();
        while data.len() < 50 {
            ring.wait(Some(Duration::ZERO), 1).expect("a poll");
            data.extend(core::iter::from_fn(|| ring.next()).map(|c| c.data));
        }
        data.sort_unstable();
        assert_eq!(data, (0..50).collect::<Vec<u64, 64>>());
    }

    #[test]
    fn a_wait_ends_with_its_time_and_not_before() {
        let Some(mut ring) = ring(8, 16) else { return };
        let began = Instant::now();
        let longest = Duration::from_micros(2_500);
        assert_eq!(ring.wait(Some(longest), 1), Ok(0));
        assert!(began.elapsed() >= longest);
        assert_eq!(ring.wait(Some(Duration::ZERO), 1), Ok(0));
    }

    #[test]
    fn a_read_waits_for_its_bytes_and_can_be_cancelled() {
        let Some(mut ring) = ring(8, 16) else { return };
        let counter = eventfd(0, EventfdFlags::CLOEXEC).expect("a counter");
        let mut word = [0u8; 8];
        let read = io_uring_sqe {
            opcode: IoringOp::Read,
            fd: counter.as_raw_fd(),
            addr_or_splice_off_in: addr_or_splice_off_in_union {
                addr: io_uring_ptr::new((&raw mut word).cast()),
            },
            len: len_union { len: 8 },
            user_data: io_uring_user_data::from_u64(7),
            ..io_uring_sqe::default()
        };
        // SAFETY: the word outlives its completion, which is waited for below.
        unsafe { ring.push(read) }.expect("capacity");
        assert_eq!(ring.wait(Some(Duration::ZERO), 1), Ok(0), "nothing to read");
        write(&counter, &5u64.to_ne_bytes()).expect("counted");
        assert_eq!(ring.wait(None, 1), Ok(1));
        let done = ring.next().expect("a completion");
        assert_eq!((done.data, done.returned()), (7, Ok(8)));
        assert_eq!(u64::from_ne_bytes(word), 5);
        // SAFETY: as before; it is cancelled below.
        unsafe { ring.push(read) }.expect("capacity");
        assert_eq!(ring.wait(Some(Duration::ZERO), 1), Ok(0), "nothing to read");
        ring.cancel_all().expect("cancelled");
        assert_eq!(ring.wait(Some(Duration::ZERO), 1), Ok(1));
        let ended = ring.next().expect("a completion");
        assert_eq!((ended.data, ended.returned()), (7, Err(Errno::CANCELED)));
        assert_eq!(ring.cancel_all(), Ok(()), "there is nothing left");
    }
}
