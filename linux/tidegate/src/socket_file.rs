//! [`SocketFile`]: the file of a Unix socket: its permissions, its owner, what becomes of one that is there already, and of ours
//! at the end.

use crate::error::Error;
use core::sync::atomic::{AtomicBool, Ordering};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, getsockname, sockopt,
};
use rustix::process::{geteuid, umask};

/// How the file of a Unix socket is made. It is removed when the socket is closed, if it is still ours.
///
/// A file that is not a socket is never removed, and a socket that another process serves is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketFile {
    /// Permissions, of the nine lowest bits; to connect needs write permission (`unix(7)`). `None`, the default, leaves them
    /// to the process's umask. They are the file's from the moment there is one (`fchmod(2)` of the socket before it is
    /// bound), so that nothing is changed by path. For bits that the umask would take away, the umask of the process is
    /// lessened by them while the socket is bound: a file that another thread makes in that moment may get them, too.
    pub mode: Option<u16>,
    /// The user that owns it, by number; `None`, the default, is the user of the process. Changing it needs privileges.
    pub user: Option<u32>,
    /// The group that owns it, by number; `None`, the default, is the group of the process. A process may give a file to a
    /// group that it is in.
    pub group: Option<u32>,
    /// Replace a socket file that is there and that no process serves, as one that crashed leaves it. On by default.
    pub replace: bool,
}

impl SocketFile {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        mode: None,
        user: None,
        group: None,
        replace: true,
    };

    /// Binds `socket` to `name`. Returns which file is ours now, `None` for an abstract name.
    pub(crate) fn bind(
        &self,
        socket: &OwnedFd,
        kind: SocketType,
        name: &SocketAddrUnix,
    ) -> Result<Option<OwnFile>, Error> {
        let Some(path) = name.path_bytes() else {
            net::bind(socket, name).map_err(Error::of_open("bind"))?;
            return Ok(None);
        };
        if let Some(mode) = self.mode {
            let mode = Mode::from_raw_mode(u32::from(mode & 0o777));
            fs::fchmod(socket, mode).map_err(Error::of_open("fchmod"))?;
        }
        match self.bind_once(socket, name) {
            Err(Errno::ADDRINUSE) if self.replace => {
                remove_stale(path, kind, name)?;
                self.bind_once(socket, name)
                    .map_err(Error::of_open("bind"))?;
            }
            bound => bound.map_err(Error::of_open("bind"))?,
        }
        // It is there now, and goes again if anything about it fails.
        let ours = Identity::of(&fs::lstat(path).map_err(Error::of_open("lstat"))?);
        if let Err(error) = self.give(path, ours) {
            remove(path, ours);
            return Err(error);
        }
        Ok(Some(OwnFile {
            ours,
            remove: remove_of,
        }))
    }

    fn bind_once(&self, socket: &OwnedFd, name: &SocketAddrUnix) -> Result<(), Errno> {
        match self.mode {
            Some(mode) => {
                let mode = Mode::from_raw_mode(u32::from(mode & 0o777));
                with_umask_without(mode, || net::bind(socket, name))
            }
            None => net::bind(socket, name),
        }
    }

    /// Gives the file to its owner: what is at `path` only if it is a socket and ours.
    fn give(&self, path: &[u8], ours: Identity) -> Result<(), Error> {
        if self.user.is_none() && self.group.is_none() {
            return Ok(());
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(CWD, path, flags, Mode::empty()).map_err(Error::of_open("open"))?;
        let found = fs::fstat(&file).map_err(Error::of_open("fstat"))?;
        let own = is_socket(&found) && found.st_uid == geteuid().as_raw() && found.st_nlink == 1;
        if !own || Identity::of(&found) != ours {
            return Err(Error::open("open", Errno::STALE));
        }
        let (user, group) = (self.user.map(Uid::from_raw), self.group.map(Gid::from_raw));
        fs::chownat(&file, c"", user, group, AtFlags::EMPTY_PATH)
            .map_err(Error::of_open("fchownat"))
    }
}

impl Default for SocketFile {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Calls `bind` while the umask of the process lets all bits of `mode` through. One thread at a time, so that none restores
/// what is another's.
fn with_umask_without<R>(mode: Mode, bind: impl FnOnce() -> R) -> R {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    while TAKEN.swap(true, Ordering::Acquire) {
        core::hint::spin_loop();
    }
    // The umask can only be read by setting it: to one that makes files of other threads no wider than before.
    let own = umask(Mode::RWXU | Mode::RWXG | Mode::RWXO);
    umask(own - mode);
    let bound = bind();
    umask(own);
    TAKEN.store(false, Ordering::Release);
    bound
}

/// Removes the file of a socket that no process serves, or returns why it stays.
fn remove_stale(path: &[u8], kind: SocketType, name: &SocketAddrUnix) -> Result<(), Error> {
    let found = match fs::lstat(path) {
        Err(Errno::NOENT) => return Ok(()),
        found => found.map_err(Error::of_open("lstat"))?,
    };
    if !is_socket(&found) {
        return Err(Error::open("bind", Errno::NOTSOCK));
    }
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let probe = net::socket_with(AddressFamily::UNIX, kind, flags, None);
    let probe = probe.map_err(Error::of_open("socket"))?;
    match net::connect(&probe, name) {
        Err(Errno::CONNREFUSED) => {}
        Err(Errno::NOENT) => return Ok(()),
        Ok(()) => {
            let holder = sockopt::socket_peercred(&probe).ok();
            let holder = holder.map(|who| who.pid.as_raw_pid().unsigned_abs());
            return Err(Error::Open {
                call: "bind",
                errno: Errno::ADDRINUSE,
                holder: holder.filter(|pid| *pid > 0),
            });
        }
        // A listener with a full queue would block; a socket of another type is in use, too.
        Err(Errno::AGAIN | Errno::INPROGRESS | Errno::PROTOTYPE) => {
            return Err(Error::open("bind", Errno::ADDRINUSE));
        }
        Err(errno) => return Err(Error::open("connect", errno)),
    }
    // Another one that starts just now may have replaced it already.
    match fs::lstat(path) {
        Err(Errno::NOENT) => Ok(()),
        Ok(now) if Identity::of(&now) == Identity::of(&found) => match fs::unlink(path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::open("unlink", errno)),
        },
        Ok(_) => Err(Error::open("bind", Errno::ADDRINUSE)),
        Err(errno) => Err(Error::open("lstat", errno)),
    }
}

fn is_socket(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Socket
}

/// Distinguishes a file from one that came to the same path later. While the socket is open its inode is not reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    #[expect(
        clippy::useless_conversion,
        reason = "both are narrower on some machines"
    )]
    fn of(found: &Stat) -> Self {
        Self {
            device: found.st_dev.into(),
            inode: found.st_ino.into(),
        }
    }
}

/// Removes what is at `path` if it is the socket file that is meant. A failure leaves it: the next server that starts
/// replaces it.
fn remove(path: &[u8], ours: Identity) {
    let found = fs::lstat(path);
    if found.is_ok_and(|found| is_socket(&found) && Identity::of(&found) == ours) {
        let _ = fs::unlink(path);
    }
}

/// Removes the file of a socket that is about to be closed.
fn remove_of(socket: BorrowedFd<'_>, ours: Identity) {
    let name = getsockname(socket).ok();
    let name = name.and_then(|name| SocketAddrUnix::try_from(name).ok());
    if let Some(path) = name.as_ref().and_then(SocketAddrUnix::path_bytes) {
        remove(path, ours);
    }
}

/// A file that was made for a socket, with what removes it: a server without such files is not linked with that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnFile {
    ours: Identity,
    remove: fn(BorrowedFd<'_>, Identity),
}

impl OwnFile {
    /// Removes it, if it is still ours; its socket is about to be closed.
    pub(crate) fn remove(self, socket: &OwnedFd) {
        (self.remove)(socket.as_fd(), self.ours);
    }
}
