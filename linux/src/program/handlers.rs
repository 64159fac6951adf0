//! [`Handlers`]: what serves a connection. The listener that accepted it decides which.

use super::control::Control;
use super::metrics::Metrics;
use super::services::Service;
use tidegate::{Conn, Handler, Reason};

/// The selected service, and the metrics and control handlers.
#[derive(Debug)]
pub(crate) struct Handlers {
    pub(crate) service: Service,
    /// Each with the number of its listener.
    metrics: Option<(u32, Metrics)>,
    control: Option<(u32, Control)>,
}

impl Handlers {
    pub(crate) const fn new(service: Service) -> Self {
        Self {
            service,
            metrics: None,
            control: None,
        }
    }

    /// Connections of this listener get metrics.
    pub(crate) fn measure(&mut self, listener: u32, metrics: Metrics) {
        self.service.leave_out(listener);
        self.metrics = Some((listener, metrics));
    }

    /// Connections of this listener send control commands.
    pub(crate) fn obey(&mut self, listener: u32, control: Control) {
        self.service.leave_out(listener);
        self.control = Some((listener, control));
    }
}

/// Calls a method of whichever it is.
macro_rules! of_whom {
    ($handlers:expr, $conn:ident, $it:ident => $call:expr) => {
        match (&mut $handlers.metrics, &mut $handlers.control) {
            (Some((listener, $it)), _) if $conn.listener() == *listener => $call,
            (_, Some((listener, $it))) if $conn.listener() == *listener => $call,
            _ => {
                let $it = &mut $handlers.service;
                $call
            }
        }
    };
}

impl Handler for Handlers {
    /// Lines received, or the progress of a reply.
    type State = u32;

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        of_whom!(self, conn, it => it.opened(conn, state));
    }

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        of_whom!(self, conn, it => it.readable(conn, state));
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        of_whom!(self, conn, it => it.writable(conn, state));
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        of_whom!(self, conn, it => it.ended(conn, state));
    }

    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        of_whom!(self, conn, it => it.timer(conn, state));
    }

    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut u32, reason: Reason) {
        of_whom!(self, conn, it => it.closed(conn, state, reason));
    }
}
