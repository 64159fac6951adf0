//! What tells us about readiness. A backend registers descriptors under tokens and turns what the kernel reports into
//! [`Event::Ready`](tidegate_core::Event::Ready); it decides nothing.

mod epoll;

pub(crate) use epoll::Epoll;
