//! The file of a Unix socket: replaced only if nobody listens on it, removed at the end only if it is still ours.

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Makes the path free to be bound, or tells why it is not: who left a socket there is gone, or it stays.
pub(crate) fn make_free(path: &str) -> Result<(), String> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(format!(
                "cannot look at it: {error}; choose a path whose folder this user may enter"
            ));
        }
    };
    if !found.file_type().is_socket() {
        return Err("a file that is no socket is there; choose another path, or remove it".into());
    }
    match knock(path) {
        Err(Errno::CONNREFUSED) => match fs::remove_file(path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!(
                "cannot remove the stale socket file there: {error}"
            )),
        },
        Err(Errno::NOENT) => Ok(()),
        // A listener with a full queue would block; a datagram socket is of another kind, but somebody's.
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS | Errno::PROTOTYPE) => {
            Err("address in use; choose another path, or stop who listens there".into())
        }
        Err(errno) => Err(format!(
            "cannot tell whether somebody listens there: errno {}",
            errno.raw_os_error()
        )),
    }
}

/// Connects, without waiting.
fn knock(path: &str) -> Result<(), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)
}

/// A socket file of ours, removed when dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// What tells a file from one that came to the same path later. The number of an inode may be given again once it is
/// free, and ours is free as soon as the listener is closed; so the time of its making belongs to it.
#[derive(PartialEq, Eq, Debug)]
struct Identity {
    device: u64,
    inode: u64,
    made: (i64, i64),
}

impl Identity {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            made: (found.mtime(), found.mtime_nsec()),
        }
    }
}

impl SocketFile {
    /// Remembers the file that was just bound.
    pub(crate) fn remember(path: &str) -> io::Result<Self> {
        let identity = Identity::of(&fs::symlink_metadata(path)?);
        let path = Path::new(path);
        Ok(Self {
            path: path.into(),
            identity,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| Identity::of(&found) == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    /// A folder of its own for each test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tidegate-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).to_str().expect("UTF-8").into()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let folder = Folder::new("stale");
        let path = folder.path("s");
        assert_eq!(make_free(&path), Ok(()), "nothing there");
        drop(UnixListener::bind(&path).expect("bound"));
        assert!(fs::exists(&path).is_ok_and(|there| there));
        assert_eq!(make_free(&path), Ok(()));
        assert!(fs::exists(&path).is_ok_and(|there| !there));
    }

    #[test]
    fn one_that_is_listened_on_stays_even_with_a_full_queue() {
        let folder = Folder::new("used");
        let path = folder.path("s");
        let socket = net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("a socket");
        net::bind(
            &socket,
            &SocketAddrUnix::new(path.as_str()).expect("a path"),
        )
        .expect("bound");
        net::listen(&socket, 0).expect("listening");
        for _ in 0..5 {
            assert!(make_free(&path).is_err_and(|why| why.starts_with("address in use")));
        }
        let datagram = folder.path("d");
        let _bound = UnixDatagram::bind(&datagram).expect("bound");
        assert!(make_free(&datagram).is_err_and(|why| why.starts_with("address in use")));
        assert!(fs::exists(&path).is_ok_and(|there| there));
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = Folder::new("file");
        let (file, link) = (folder.path("f"), folder.path("l"));
        fs::write(&file, "precious").expect("written");
        drop(UnixListener::bind(folder.path("s")).expect("bound"));
        std::os::unix::fs::symlink(folder.path("s"), &link).expect("linked");
        for path in [&file, &link] {
            assert!(make_free(path).is_err_and(|why| why.contains("no socket")));
            assert!(fs::symlink_metadata(path).is_ok());
        }
        assert!(make_free(&folder.path("f/s")).is_err_and(|why| why.contains("cannot look")));
    }

    #[test]
    fn only_our_own_file_is_removed() {
        let folder = Folder::new("own");
        let path = folder.path("s");
        let first = UnixListener::bind(&path).expect("bound");
        let ours = SocketFile::remember(&path).expect("there");
        drop(first);
        fs::remove_file(&path).expect("removed");
        let _second = UnixListener::bind(&path).expect("bound");
        drop(ours);
        assert!(fs::symlink_metadata(&path).is_ok(), "the next one's");
        drop(SocketFile::remember(&path).expect("there"));
        assert!(fs::symlink_metadata(&path).is_err());
    }
}
