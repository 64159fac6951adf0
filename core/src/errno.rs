//! [`Errno`]: what calls of the simulated kernel fail with.

use core::fmt;

/// A Linux error number (`errno(3)`), of the generic architectures. Any number may be injected; those that the model
/// itself answers with, or that its fault tables hold, have a name here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(u16);

macro_rules! errnos {
    ($($name:ident = $code:literal,)*) => {
        #[expect(missing_docs, reason = "each is the number of that name, without its E")]
        impl Errno {
            $(pub const $name: Self = Self($code);)*

            /// Its name without the E, if it has one here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    PERM = 1,
    NOENT = 2,
    INTR = 4,
    IO = 5,
    BADF = 9,
    AGAIN = 11,
    NOMEM = 12,
    ACCES = 13,
    FAULT = 14,
    BUSY = 16,
    EXIST = 17,
    INVAL = 22,
    NFILE = 23,
    MFILE = 24,
    NOTTY = 25,
    NOSPC = 28,
    PIPE = 32,
    LOOP = 40,
    NOSR = 63,
    NONET = 64,
    PROTO = 71,
    NOTSOCK = 88,
    DESTADDRREQ = 89,
    MSGSIZE = 90,
    NOPROTOOPT = 92,
    PROTONOSUPPORT = 93,
    SOCKTNOSUPPORT = 94,
    OPNOTSUPP = 95,
    AFNOSUPPORT = 97,
    ADDRINUSE = 98,
    ADDRNOTAVAIL = 99,
    NETDOWN = 100,
    NETUNREACH = 101,
    CONNABORTED = 103,
    CONNRESET = 104,
    NOBUFS = 105,
    ISCONN = 106,
    NOTCONN = 107,
    TIMEDOUT = 110,
    CONNREFUSED = 111,
    HOSTDOWN = 112,
    HOSTUNREACH = 113,
    ALREADY = 114,
    INPROGRESS = 115,
    DQUOT = 122,
}

impl Errno {
    /// The error with this number.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Its number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "E{name}"),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for Errno {}
