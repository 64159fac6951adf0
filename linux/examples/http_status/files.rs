//! Files of one folder, and nothing outside of it.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;
use tidegate::http::{Representation, Status};

/// The folder that is served.
pub(crate) struct Root(OwnedFd);

/// A file that is there, to be read from its beginning.
pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) content_type: &'static str,
    pub(crate) representation: Representation,
}

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, how, Mode::empty()).map(Self)
    }

    /// The file of a normalized path. Links are not followed, so nothing leads out of the folder. Names that begin with
    /// a dot are not served. Only regular files are opened: opening a device may have effects.
    pub(crate) fn find(&self, path: &[u8], now: SystemTime) -> Result<Found, Status> {
        let error = Status::of_file_error;
        let mut folder: Option<OwnedFd> = None;
        let mut names = path
            .strip_prefix(b"/")
            .unwrap_or(path)
            .split(|&byte| byte == b'/')
            .peekable();
        while let Some(name) = names.next() {
            if name.is_empty() || name.starts_with(b".") {
                return Err(Status::NotFound);
            }
            let here = folder.as_ref().unwrap_or(&self.0);
            let how = OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if names.peek().is_some() {
                let how = how | OFlags::PATH | OFlags::DIRECTORY;
                folder = Some(openat(here, name, how, Mode::empty()).map_err(error)?);
                continue;
            }
            let about = statat(here, name, AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
            if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
                return Err(Status::NotFound);
            }
            // It may have become something else since, and a pipe would be waited for.
            let how = how | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            let file = File::from(openat(here, name, how, Mode::empty()).map_err(error)?);
            return Found::new(file, name, now);
        }
        Err(Status::NotFound)
    }
}

impl Found {
    fn new(file: File, name: &[u8], now: SystemTime) -> Result<Self, Status> {
        let about = file.metadata();
        let about = about.map_err(|error| {
            let errno = Errno::from_io_error(&error);
            errno.map_or(Status::InternalServerError, Status::of_file_error)
        })?;
        if !about.is_file() {
            return Err(Status::NotFound);
        }
        let modified = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Self {
            file,
            content_type: content_type(name),
            representation: Representation::of_file(about.len(), modified, about.ino(), now),
        })
    }
}

/// By the extension. Browsers refuse module scripts and WebAssembly of another type, and take text without a charset for
/// Windows-1252.
fn content_type(name: &[u8]) -> &'static str {
    let dot = name.iter().rposition(|&byte| byte == b'.');
    let extension = dot.and_then(|dot| name.get(dot + 1..)).unwrap_or(&[]);
    let is = |(known, _): &&(&str, _)| extension.eq_ignore_ascii_case(known.as_bytes());
    let found = TYPES.iter().find(is);
    found.map_or("application/octet-stream", |(_, kind)| kind)
}

/// Extensions in lower case, and their types.
const TYPES: [(&str, &str); 43] = [
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("log", "text/plain; charset=utf-8"),
    ("m4a", "audio/mp4"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];
