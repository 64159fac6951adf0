//! [`SessionMut`]: what may be done to a server's session from outside its loop.

use super::Server;
use crate::backend::Backend;
use core::ops::Deref;
use tidegate_core::{Conn, Handler, Session, Token};

/// A server's session, to change between iterations: the handler, and one connection at a time. For reading, it derefs
/// to the [`Session`].
///
/// The verbs of the driver are not here, and the session cannot be exchanged for another: its actions name descriptors
/// that are open, and bytes that the kernel reads later.
///
/// ```compile_fail,E0596
/// # use tidegate::{Handler, Server, Token};
/// fn exchange<'m, H: Handler>(one: &mut Server<'m, H>, other: &mut Server<'m, H>) {
///     core::mem::swap(&mut *one.session_mut(), &mut *other.session_mut());
/// }
/// ```
///
/// ```compile_fail,E0596
/// # use tidegate::{Handler, Server};
/// fn take_action<H: Handler>(server: &mut Server<'_, H>) {
///     let _ = server.session_mut().poll_output(None);
/// }
/// ```
#[derive(Debug)]
pub struct SessionMut<'s, 'm, H: Handler>(&'s mut Session<'m, H>);

impl<'m, H: Handler> Deref for SessionMut<'_, 'm, H> {
    type Target = Session<'m, H>;

    fn deref(&self) -> &Session<'m, H> {
        self.0
    }
}

impl<'s, H: Handler> SessionMut<'s, '_, H> {
    /// The handler, to change.
    pub const fn handler_mut(self) -> &'s mut H {
        self.0.handler_mut()
    }

    /// Borrows a live connection, its state and the handler: see [`Session::with`].
    pub fn with<R>(
        &mut self,
        token: Token,
        f: impl FnOnce(&mut H, &mut Conn<'_>, &mut H::State) -> R,
    ) -> Option<R> {
        self.0.with(token, f)
    }

    /// Records everything from now on: see [`Session::record_to`].
    #[cfg(feature = "trace")]
    pub fn record_to(&mut self, sink: &'static mut (dyn FnMut(&crate::trace::Entry<'_>) + Send)) {
        self.0.record_to(sink);
    }

    /// Puts a remark into the full trace, if there is one.
    pub fn note(&mut self, text: &str) {
        self.0.note(text);
    }
}

impl<'m, H: Handler, B: Backend> Server<'m, H, B> {
    /// The session, for reading: counters, handler, connections.
    #[must_use]
    pub const fn session(&self) -> &Session<'m, H> {
        &self.session
    }

    /// The session, to call connections between iterations.
    pub const fn session_mut(&mut self) -> SessionMut<'_, 'm, H> {
        self.will_connect();
        SessionMut(&mut self.session)
    }

    /// The handler, to change.
    pub const fn handler_mut(&mut self) -> &mut H {
        self.session.handler_mut()
    }
}
