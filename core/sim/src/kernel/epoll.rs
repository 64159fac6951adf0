//! Epoll sets: registering, waking, waiting.

use super::interest::Interest;
use super::set::Item;
use super::{Call, Errno, Fd, Kernel, Kind, Set};
use crate::driver;
use crate::flags::EpollFlags;
use crate::laws::Held;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use tidegate_core::Token;

/// The event of one item in a wait.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Report {
    /// What is true, of the interest; `ERR` and `HUP` come unasked.
    pub flags: EpollFlags,
    /// The word that was registered.
    pub data: u64,
}

/// The flags that may be combined with `EXCLUSIVE` (`EPOLLEXCLUSIVE_OK_BITS`): `IN`, `OUT`, `ERR`, `HUP`, `WAKEUP`,
/// `ET`, itself.
const BESIDE_EXCLUSIVE: EpollFlags = EpollFlags::from_bits((0xb << 28) | 0x1d);

impl Kernel {
    /// A new epoll set.
    ///
    /// # Errors
    ///
    /// `MFILE`.
    pub fn epoll_create(&mut self) -> Result<Fd, Errno> {
        self.has_descriptor()?;
        let file = self.file(Kind::Set(Set::default()));
        self.describe(file)
    }

    /// Registers a descriptor (`EPOLL_CTL_ADD`).
    ///
    /// # Errors
    ///
    /// `BADF`; `INVAL` if `set` is not a set, or `fd` is one (sets in sets are not modelled), or a flag is combined
    /// with [`EXCLUSIVE`](EpollFlags::EXCLUSIVE) that must not be; `EXIST`; injected ones. An injected error is true:
    /// after `EXIST` it is registered.
    pub fn epoll_add(&mut self, set: Fd, fd: Fd, mask: EpollFlags, data: u64) -> Result<(), Errno> {
        let (set, file) = self.set_and_file(set, fd)?;
        match self.failing(Call::EpollAdd, file) {
            Err(Errno::EXIST) => {
                self.register(set, (fd.0, file), mask, data)?;
                Err(Errno::EXIST)
            }
            Err(errno) => Err(errno),
            Ok(()) => self.register(set, (fd.0, file), mask, data),
        }
    }

    fn register(
        &mut self,
        set: u32,
        key: (u32, u32),
        mask: EpollFlags,
        data: u64,
    ) -> Result<(), Errno> {
        let exclusive = mask.contains(EpollFlags::EXCLUSIVE);
        if exclusive && !(mask - BESIDE_EXCLUSIVE).is_empty() {
            return Err(Errno::INVAL);
        }
        let entry = self.set_mut(set).ok_or(Errno::INVAL)?;
        if entry.items.contains_key(&key) {
            return Err(Errno::EXIST);
        }
        let interest = Interest::new(mask);
        let item = Item { interest, data };
        if let Some(set) = self.set_mut(set) {
            set.items.insert(key, item);
        }
        if let Some(file) = self.files.get_mut(key.1) {
            let at = if exclusive { 0 } else { file.watchers.len() };
            file.watchers.insert(at, (set, key.0));
        }
        self.queue_if_ready(set, key);
        Ok(())
    }

    /// Changes the interest in a descriptor (`EPOLL_CTL_MOD`), which arms a one-shot item again, and reports again what
    /// is ready.
    ///
    /// # Errors
    ///
    /// As [`epoll_add`](Self::epoll_add), but `NOENT` if it is not registered, and after an injected one it is not;
    /// `INVAL` if [`EXCLUSIVE`](EpollFlags::EXCLUSIVE) is set now, or was at the registration.
    pub fn epoll_modify(
        &mut self,
        set: Fd,
        fd: Fd,
        mask: EpollFlags,
        data: u64,
    ) -> Result<(), Errno> {
        let (set, file) = self.set_and_file(set, fd)?;
        let key = (fd.0, file);
        if let Err(errno) = self.failing(Call::EpollModify, file) {
            if errno == Errno::NOENT {
                self.withdraw(set, key)?;
            }
            return Err(errno);
        }
        if mask.contains(EpollFlags::EXCLUSIVE) {
            return Err(Errno::INVAL);
        }
        let entry = self.set_mut(set).ok_or(Errno::INVAL)?;
        let item = entry.items.get_mut(&key).ok_or(Errno::NOENT)?;
        if item.interest.mask.contains(EpollFlags::EXCLUSIVE) {
            return Err(Errno::INVAL);
        }
        item.data = data;
        item.interest.modify(mask);
        self.queue_if_ready(set, key);
        Ok(())
    }

    /// Removes a descriptor (`EPOLL_CTL_DEL`), also from what was about to be reported.
    ///
    /// # Errors
    ///
    /// As [`epoll_modify`](Self::epoll_modify); after an injected `BADF` it is not registered either.
    pub fn epoll_delete(&mut self, set: Fd, fd: Fd) -> Result<(), Errno> {
        let (set, file) = self.set_and_file(set, fd)?;
        match self.failing(Call::EpollDelete, file) {
            Err(errno @ (Errno::NOENT | Errno::BADF)) => {
                self.withdraw(set, (fd.0, file))?;
                Err(errno)
            }
            Err(errno) => Err(errno),
            Ok(()) => self.withdraw(set, (fd.0, file)),
        }
    }

    fn withdraw(&mut self, set: u32, key: (u32, u32)) -> Result<(), Errno> {
        let entry = self.set_mut(set).ok_or(Errno::INVAL)?;
        entry.remove(key).ok_or(Errno::NOENT)?;
        if let Some(file) = self.files.get_mut(key.1) {
            file.watchers.retain(|watcher| *watcher != (set, key.0));
        }
        Ok(())
    }

    /// Returns what is ready, at most `most` items, in the order of the ready list (`epoll_wait(2)` with a time-out of
    /// 0).
    ///
    /// # Errors
    ///
    /// `BADF`; `INVAL` if `set` is not a set or `most` is 0; injected ones.
    pub fn epoll_wait(&mut self, set: Fd, most: usize) -> Result<Vec<Report>, Errno> {
        if most == 0 {
            return Err(Errno::INVAL);
        }
        let at = self.file_of(set)?;
        self.set_mut(at).ok_or(Errno::INVAL)?;
        self.failing(Call::EpollWait, at)?;
        let mut reports = Vec::new();
        let mut back = VecDeque::new();
        while reports.len() < most {
            let Some(set) = self.set_mut(at) else { break };
            let Some(key) = set.ready.pop_front() else {
                break;
            };
            let bits = self.poll_file(key.1);
            let Some(item) = self.set_mut(at).and_then(|set| set.items.get_mut(&key)) else {
                continue;
            };
            let flags = item.interest.report(bits);
            if item.interest.queued {
                back.push_back(key);
            }
            if !flags.is_empty() {
                let data = item.data;
                reports.push(Report { flags, data });
            }
        }
        if let Some(set) = self.set_mut(at) {
            set.ready.append(&mut back);
        }
        Ok(reports)
    }

    /// The registrations of a set: the descriptor, the interest, and the word that goes with it.
    pub fn registered(&self, set: Fd) -> impl Iterator<Item = (Fd, EpollFlags, u64)> + '_ {
        let set = self.file_of(set).ok().and_then(|at| self.files.get(at));
        let items = set.and_then(|file| match &file.kind {
            Kind::Set(set) => Some(&set.items),
            Kind::Socket(_) | Kind::Listener(_) | Kind::Post(_) => None,
        });
        let items = items.into_iter().flatten();
        items.map(|(&(fd, _), item)| (Fd(fd), item.interest.asked(), item.data))
    }

    /// What is held of one descriptor, which a driver calls `token`.
    pub(crate) fn held(&self, set: Fd, fd: Fd, token: Token) -> Held {
        let unknown = Held::unknown(token, None);
        let (Ok(set), Ok(file)) = (self.file_of(set), self.file_of(fd)) else {
            return unknown;
        };
        let item = match self.files.get(set).map(|file| &file.kind) {
            Some(Kind::Set(set)) => set.items.get(&(fd.0, file)),
            Some(Kind::Socket(_) | Kind::Listener(_) | Kind::Post(_)) | None => None,
        };
        let bits = self.state_of(file);
        let interest = item.filter(|item| item.data == token.to_bits());
        let interest = interest.map(|item| item.interest);
        Held {
            mask: interest.map(|interest| interest.asked()),
            possible: driver::directions(bits),
            failed: (self.socket(file)).is_some_and(|socket| socket.end.error.is_some()),
            reports: interest.is_some_and(|interest| interest.queued && interest.is_ready(bits)),
            ..unknown
        }
    }

    /// Something has happened to a file: its watchers are notified, the latest first, and after them the exclusive
    /// ones, the latest last. Of these, too, all are notified: Linux stops at the first set with a waiter, and here no
    /// caller waits. `what` is empty if anything may have changed.
    pub(super) fn wake(&mut self, at: u32, what: EpollFlags) {
        self.wake_multishot(at, what);
        let count = self.files.get(at).map_or(0, |file| file.watchers.len());
        for number in (0..count).rev() {
            let watcher = self
                .files
                .get(at)
                .and_then(|file| file.watchers.get(number));
            if let Some(&(set, fd)) = watcher
                && let Some(set) = self.set_mut(set)
            {
                set.wake((fd, at), what);
            }
        }
    }

    fn queue_if_ready(&mut self, set: u32, key: (u32, u32)) {
        let bits = self.poll_file(key.1);
        if let Some(set) = self.set_mut(set)
            && let Some(item) = set.items.get(&key)
            && item.interest.is_ready(bits)
        {
            set.queue(key);
        }
    }

    fn set_and_file(&self, set: Fd, fd: Fd) -> Result<(u32, u32), Errno> {
        let (at, file) = (self.file_of(set)?, self.file_of(fd)?);
        let is_set = |at| {
            matches!(
                self.files.get(at).map(|file| &file.kind),
                Some(Kind::Set(_))
            )
        };
        if is_set(at) && !is_set(file) {
            Ok((at, file))
        } else {
            Err(Errno::INVAL)
        }
    }
}
