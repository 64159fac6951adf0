//! [`Way`]: how a program learns which sockets are ready; [`Watch`]: its interest list, kept by itself or by the
//! kernel.

use super::system::{Change, SysResult, System};
use tidegate::Trigger;
use tidegate_sim::{EpollFlags, Fd, Report};

/// How a program learns that there is something to receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Blocking,
    NonBlocking,
    Select,
    Poll,
    Epoll(Trigger),
}

impl Way {
    pub(crate) const ALL: [Self; 7] = [
        Self::Blocking,
        Self::NonBlocking,
        Self::Select,
        Self::Poll,
        Self::Epoll(Trigger::Level),
        Self::Epoll(Trigger::Edge),
        Self::Epoll(Trigger::Oneshot),
    ];

    /// Those of epoll, the default for a script.
    pub(crate) const EPOLL: &[Self] = &[
        Self::Epoll(Trigger::Level),
        Self::Epoll(Trigger::Edge),
        Self::Epoll(Trigger::Oneshot),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::NonBlocking => "non-blocking",
            Self::Select => "select",
            Self::Poll => "poll",
            Self::Epoll(Trigger::Level) => "level",
            Self::Epoll(Trigger::Edge) => "edge",
            Self::Epoll(Trigger::Oneshot) => "oneshot",
        }
    }

    /// What it is, in a few words.
    pub(crate) const fn means(self) -> &'static str {
        match self {
            Self::Blocking => "a receive waits until there is something",
            Self::NonBlocking => "no call waits; each socket is asked in turn",
            Self::Select => "all sockets are handed over, as a set of bits, at each wait",
            Self::Poll => "all sockets are handed over, as a list, at each wait",
            Self::Epoll(Trigger::Level) => "each wait reports what is there",
            Self::Epoll(Trigger::Edge) => "a wait reports what has come since the last one",
            Self::Epoll(Trigger::Oneshot) => "reported once, then silent until armed again",
        }
    }

    /// How the library is run beside it. It has no blocking mode.
    pub(crate) const fn of_library(self) -> Self {
        match self {
            Self::Blocking => Self::Epoll(Trigger::Level),
            Self::NonBlocking | Self::Select | Self::Poll | Self::Epoll(_) => self,
        }
    }

    pub(crate) const fn trigger(self) -> Trigger {
        match self {
            Self::Epoll(trigger) => trigger,
            Self::Blocking | Self::NonBlocking | Self::Select | Self::Poll => Trigger::Level,
        }
    }
}

/// The interest list. With epoll the kernel keeps the list.
#[derive(Debug)]
pub(crate) struct Watch {
    way: Way,
    set: Option<Fd>,
    list: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    fd: Fd,
    mask: EpollFlags,
    data: u64,
}

impl Watch {
    pub(crate) fn new(way: Way, system: &mut impl System) -> SysResult<Self> {
        let set = match way {
            Way::Epoll(_) => Some(system.epoll()?),
            Way::Blocking | Way::NonBlocking | Way::Select | Way::Poll => None,
        };
        let list = Vec::new();
        Ok(Self { way, set, list })
    }

    /// Adds `fd` with `mask`, or changes its mask if it is there already. `data` comes with each event.
    pub(crate) fn put(
        &mut self,
        system: &mut impl System,
        fd: Fd,
        mask: EpollFlags,
        data: u64,
    ) -> SysResult<()> {
        let known = self.list.iter_mut().find(|watched| watched.fd == fd);
        if let Some(set) = self.set {
            let change = match known {
                Some(_) => Change::Modify(mask, data),
                None => Change::Add(mask, data),
            };
            system.change(set, fd, change)?;
        }
        match known {
            Some(watched) => (watched.mask, watched.data) = (mask, data),
            None => self.list.push(Watched { fd, mask, data }),
        }
        Ok(())
    }

    /// Watches `fd` no longer.
    pub(crate) fn take(&mut self, system: &mut impl System, fd: Fd) -> SysResult<()> {
        self.list.retain(|watched| watched.fd != fd);
        match self.set {
            Some(set) => system.change(set, fd, Change::Delete),
            None => Ok(()),
        }
    }

    /// Polls once.
    pub(crate) fn poll(&self, system: &mut impl System) -> SysResult<Vec<Report>> {
        if let Some(set) = self.set {
            return system.wait(set);
        }
        let all = self.list.iter().map(|watched| (watched.fd, watched.mask));
        let all: Vec<_> = all.collect();
        let found = match self.way {
            Way::Select => system.select(&all)?,
            Way::Poll => system.poll(&all)?,
            Way::Blocking | Way::NonBlocking | Way::Epoll(_) => {
                let each = all.chunks(1).map(|one| system.poll(one));
                each.collect::<SysResult<Vec<_>>>()?.concat()
            }
        };
        let found = self.list.iter().zip(found);
        let ready = found.filter(|(_, flags)| !flags.is_empty());
        let report = |(watched, flags): (&Watched, EpollFlags)| Report {
            flags,
            data: watched.data,
        };
        Ok(ready.map(report).collect())
    }

    /// What a poll costs, for people: nothing for epoll, whose cost does not depend on the number of descriptors.
    pub(crate) fn cost(&self) -> Option<String> {
        let count = self.list.len();
        match self.way {
            Way::NonBlocking => Some(format!("calls: {count}")),
            Way::Select | Way::Poll => Some(format!("calls: 1, sockets handed over: {count}")),
            Way::Blocking | Way::Epoll(_) => None,
        }
    }
}
