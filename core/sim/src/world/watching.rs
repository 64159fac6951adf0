//! A descriptor of the application's own in a world, which is watched.

use super::{Handler, World};
use core::net::{Ipv4Addr, SocketAddr};
use tidegate_core::Directions;
use tidegate_core::Token;
use tidegate_core::Unavailable;

/// Watched descriptors.
impl<H: Handler> World<'_, H> {
    /// Has the session watch a descriptor: one that can be written to at any time, and has nothing to read until
    /// [`make_readable`](Self::make_readable). It is never read, so a handler that is notified has to [watch for
    /// something else](tidegate_core::Connections::watch_for), or [no longer](tidegate_core::Connections::unwatch).
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    ///
    /// # Panics
    ///
    /// The kernel has no descriptor for it.
    pub fn watch(&mut self, directions: Directions) -> Result<Token, Unavailable> {
        let token = self.session.watch(directions)?;
        let ours = core::mem::replace(&mut self.kernel.limits_mut().descriptors, u32::MAX);
        let descriptor = self.kernel.datagrams().expect("a descriptor");
        self.kernel.limits_mut().descriptors = ours;
        self.setup.limits.descriptors = self.setup.limits.descriptors.saturating_add(1);
        self.driver.adopt(token, descriptor);
        self.busy = true;
        Ok(token)
    }

    /// There is something to read there from now on; nothing is done if it is watched no longer.
    pub fn make_readable(&mut self, token: Token) {
        self.busy = true;
        if let Ok(descriptor) = self.driver.socket(token) {
            let anybody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
            let _ = self.kernel.arrive(descriptor, anybody, b"!");
        }
    }
}
