//! Addresses in a world's network without responses.

use super::World;
use crate::kernel::{Kernel, Route};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use tidegate_core::Handler;

/// Of RFC 5737: documentation, assigned to no host.
const UNANSWERED: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const UNREACHABLE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
/// On the network of the peers.
const ABSENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254));
const PORT: u16 = 7;
/// How long Linux tries to resolve a hardware address: three requests, a second apart.
const RESOLVING: Duration = Duration::from_secs(3);

impl<H: Handler> World<'_, H> {
    /// An address without responses, as behind a firewall that drops packets or on a host that is off: a connect goes
    /// on until the session's deadline for it ends it ([`Config::connect`](tidegate_core::Config::connect)). Any other
    /// port of it is the same.
    pub const UNANSWERED: SocketAddr = SocketAddr::new(UNANSWERED, PORT);

    /// An address to which there is no route, as while an interface is down: a connect fails at once (`ENETUNREACH`). Any
    /// other port of it is the same.
    pub const UNREACHABLE: SocketAddr = SocketAddr::new(UNREACHABLE, PORT);

    /// An address of the peers' network without a host: a connect fails (`EHOSTUNREACH`) when the kernel has tried to
    /// resolve its hardware address for 3 seconds. Any other port of it is the same.
    pub const ABSENT: SocketAddr = SocketAddr::new(ABSENT, PORT);

    /// Gives up to resolve [`ABSENT`](Self::ABSENT) when its time has come. Returns whether it did.
    pub(super) fn resolves(&mut self) -> bool {
        if !self.kernel.resolves(ABSENT) {
            self.resolved_by = None;
            return false;
        }
        let by = *(self.resolved_by).get_or_insert_with(|| self.now.plus(RESOLVING));
        let gives_up = self.now >= by;
        if gives_up {
            self.kernel.give_up(ABSENT);
            self.resolved_by = None;
        }
        gives_up
    }
}

/// Makes them what they are.
pub(super) fn lay_out(kernel: &mut Kernel) {
    kernel.set_route(UNANSWERED, Some(Route::Lost));
    kernel.set_route(UNREACHABLE, Some(Route::Missing));
    kernel.set_route(ABSENT, Some(Route::Unresolved));
}
