//! The simulated kernel as a [`System`].

use super::system::{Change, SysResult, System};
use tidegate_sim::{EpollFlags, Errno, Family, Fd, Kernel, Limits, Report, Shutdown};

/// Where the listener is.
const PORT: u16 = 1;
/// More connections than a script has.
const BACKLOG: usize = 16;
/// Events of one wait: more than a script has sources.
const REPORTS: usize = 16;

#[derive(Debug)]
pub(crate) struct Simulated {
    kernel: Kernel,
    listener: Fd,
}

impl Simulated {
    pub(crate) fn new() -> SysResult<Self> {
        let mut kernel = Kernel::new(Limits::default());
        let listener = kernel.listen(Family::Tcp, PORT, BACKLOG)?;
        Ok(Self { kernel, listener })
    }

    fn state(&mut self, fd: Fd) -> SysResult<EpollFlags> {
        self.kernel.poll(fd)
    }
}

impl System for Simulated {
    fn listener(&self) -> Fd {
        self.listener
    }

    fn connect(&mut self) -> SysResult<Fd> {
        let fd = self.kernel.socket_from(Family::Tcp, None)?;
        match self.kernel.connect(fd, PORT) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(fd),
            Err(errno) => Err(errno),
        }
    }

    fn accept(&mut self) -> SysResult<Fd> {
        self.kernel.accept(self.listener).map(|(fd, _)| fd)
    }

    fn send(&mut self, fd: Fd, bytes: &[u8]) -> SysResult<usize> {
        self.kernel.send(fd, bytes)
    }

    fn receive(&mut self, fd: Fd, into: &mut [u8]) -> SysResult<usize> {
        self.kernel.recv(fd, into)
    }

    /// Nothing waits here: that it would have waited is all that there is to it.
    fn make_blocking(&mut self, _fd: Fd) -> SysResult<()> {
        Ok(())
    }

    fn finish(&mut self, fd: Fd) -> SysResult<()> {
        self.kernel.shutdown(fd, Shutdown::Write)
    }

    fn close(&mut self, fd: Fd, reset: bool) -> SysResult<()> {
        if reset {
            self.kernel.reset_on_close(fd)?;
        }
        self.kernel.close(fd)
    }

    fn epoll(&mut self) -> SysResult<Fd> {
        self.kernel.epoll_create()
    }

    fn change(&mut self, set: Fd, fd: Fd, change: Change) -> SysResult<()> {
        match change {
            Change::Add(mask, data) => self.kernel.epoll_add(set, fd, mask, data),
            Change::Modify(mask, data) => self.kernel.epoll_modify(set, fd, mask, data),
            Change::Delete => self.kernel.epoll_delete(set, fd),
        }
    }

    fn wait(&mut self, set: Fd) -> SysResult<Vec<Report>> {
        self.kernel.epoll_wait(set, REPORTS)
    }

    fn poll(&mut self, list: &[(Fd, EpollFlags)]) -> SysResult<Vec<EpollFlags>> {
        let unasked = EpollFlags::ERR | EpollFlags::HUP;
        let one = |&(fd, mask): &(Fd, EpollFlags)| Ok(self.state(fd)? & (mask | unasked));
        list.iter().map(one).collect()
    }

    /// A hang-up or an error counts as ready to read, an error as ready to write, too (`select(2)`, section "Correspondence
    /// between select() and poll() notifications").
    fn select(&mut self, list: &[(Fd, EpollFlags)]) -> SysResult<Vec<EpollFlags>> {
        let reads = EpollFlags::IN | EpollFlags::RDHUP | EpollFlags::HUP | EpollFlags::ERR;
        let writes = EpollFlags::OUT | EpollFlags::ERR;
        let one = |&(fd, mask): &(Fd, EpollFlags)| {
            let state = self.state(fd)?;
            let read = mask.contains(EpollFlags::IN) && state.intersects(reads);
            let write = mask.contains(EpollFlags::OUT) && state.intersects(writes);
            Ok(EpollFlags::IN.when(read) | EpollFlags::OUT.when(write))
        };
        list.iter().map(one).collect()
    }

    fn unread(&mut self, fd: Fd) -> usize {
        self.kernel.unread(fd).unwrap_or(0)
    }
}
