//! [`Datagrams`]: what is known of a datagram socket.

/// What a datagram socket knows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Datagrams {
    /// A datagram waits to be sent.
    pub(crate) loaded: bool,
    /// The application waits until it is sent.
    pub(crate) send_wanted: bool,
    /// Datagrams dropped by the kernel, as last reported.
    pub(crate) lost: u32,
}

impl Datagrams {
    /// What waited to be sent is gone; whether the application waits for that.
    pub(crate) const fn unload(&mut self) -> bool {
        self.loaded = false;
        self.send_wanted
    }
}
