//! Addresses in a world's network from which nothing comes back.

use super::World;
use crate::session::Handler;
use crate::sim::kernel::{Kernel, Route};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Of RFC 5737: documentation, nobody's.
const UNANSWERED: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const UNREACHABLE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const PORT: u16 = 7;

impl<H: Handler> World<'_, H> {
    /// An address that answers nothing, as behind a firewall that drops packets or on a host that is off: a connect goes on
    /// until the session's deadline for it ends it ([`Config::connect`](crate::Config::connect)). Any other port of it is
    /// the same.
    pub const UNANSWERED: SocketAddr = SocketAddr::new(UNANSWERED, PORT);

    /// An address to which there is no route, as while an interface is down: a connect fails at once (`ENETUNREACH`). Any
    /// other port of it is the same.
    pub const UNREACHABLE: SocketAddr = SocketAddr::new(UNREACHABLE, PORT);
}

/// Makes them what they are.
pub(super) fn lay_out(kernel: &mut Kernel) {
    kernel.set_route(UNANSWERED, Some(Route::Lost));
    kernel.set_route(UNREACHABLE, Some(Route::Missing));
}
