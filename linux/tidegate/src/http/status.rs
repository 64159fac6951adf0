//! [`Status`]: the status codes that a small server sends.

use crate::Errno;
use core::fmt;

/// A status code (RFC 9110, section 15). Displays as code and reason phrase: `404 Not Found`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of RFC 9110")]
pub enum Status {
    Ok,
    NoContent,
    PartialContent,
    NotModified,
    BadRequest,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    PreconditionFailed,
    ContentTooLarge,
    UriTooLong,
    RangeNotSatisfiable,
    ExpectationFailed,
    RequestHeaderFieldsTooLarge,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
    HttpVersionNotSupported,
}

impl Status {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.parts().0
    }

    /// The reason phrase.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.parts().1
    }

    /// What the error of opening or reading a file means to the client.
    ///
    /// Local resource exhaustion is not a fact about the file: without a free descriptor or memory it is
    /// [`ServiceUnavailable`](Self::ServiceUnavailable), to be retried, never [`NotFound`](Self::NotFound). Links that
    /// are not followed (`ELOOP`) and names that no file can have count as not found.
    ///
    /// See open(2) and read(2).
    #[must_use]
    pub const fn of_file_error(errno: Errno) -> Self {
        match errno {
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::ISDIR
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::INVAL
            | Errno::ILSEQ
            | Errno::NXIO
            | Errno::NODEV => Self::NotFound,
            Errno::ACCESS | Errno::PERM => Self::Forbidden,
            Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::NOBUFS
            | Errno::AGAIN
            | Errno::BUSY
            | Errno::INTR => Self::ServiceUnavailable,
            _ => Self::InternalServerError,
        }
    }

    const fn parts(self) -> (u16, &'static str) {
        match self {
            Self::Ok => (200, "OK"),
            Self::NoContent => (204, "No Content"),
            Self::PartialContent => (206, "Partial Content"),
            Self::NotModified => (304, "Not Modified"),
            Self::BadRequest => (400, "Bad Request"),
            Self::Forbidden => (403, "Forbidden"),
            Self::NotFound => (404, "Not Found"),
            Self::MethodNotAllowed => (405, "Method Not Allowed"),
            Self::PreconditionFailed => (412, "Precondition Failed"),
            Self::ContentTooLarge => (413, "Content Too Large"),
            Self::UriTooLong => (414, "URI Too Long"),
            Self::RangeNotSatisfiable => (416, "Range Not Satisfiable"),
            Self::ExpectationFailed => (417, "Expectation Failed"),
            Self::RequestHeaderFieldsTooLarge => (431, "Request Header Fields Too Large"),
            Self::InternalServerError => (500, "Internal Server Error"),
            Self::NotImplemented => (501, "Not Implemented"),
            Self::ServiceUnavailable => (503, "Service Unavailable"),
            Self::HttpVersionNotSupported => (505, "HTTP Version Not Supported"),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.reason())
    }
}
