//! HTTP/1.1 for small servers: what a request means, and the head of the response.
//!
//! A status page or a few files need little of HTTP, but that little must be right: two readings of one head, ours and a
//! proxy's, are how requests are smuggled. So there is one function for each step, shared by the program's `--metrics`,
//! the example `http_status` and your handlers:
//!
//! - [`Head::parse`] takes a head apart and validates it. It alone decides where the head ends, how long the body is and
//!   whether the connection persists; all fields of a name count (RFC 9112, RFC 9110).
//! - [`Head::path`] makes a normalized path of the target: no query, no escapes, no dot segments, never above the root.
//! - [`Body::discard`] skips an unwanted body, so that the response reaches a client that is still sending.
//! - [`Representation`] evaluates conditions and ranges.
//! - [`Response`] writes the head of the response.
//!
//! Pure functions over byte slices: no system call, no clock, no allocation; time is an argument. It is part of the library,
//! not of an example, because each program with a status page would repeat the same mistakes; behind the feature `http`,
//! because most programs have none. The feature needs `std`, for the calendar of the crate `httpdate`.
//!
//! ```
//! use std::time::SystemTime;
//! use tidegate::http::{Fields, Head, Method, Response, Status};
//!
//! let mut fields = Fields::new();
//! let head = Head::parse(b"GET /%73tatus?now HTTP/1.1\r\nHost: meter\r\n\r\n", &mut fields)?.ok_or("incomplete")?;
//! let mut path = [0; 256];
//! assert_eq!((head.method(), head.path(&mut path)), (Method::Get, Ok(&b"/status"[..])));
//!
//! let mut out = [0; 512];
//! let response = Response {
//!     content_type: Some("text/plain; charset=utf-8"),
//!     content_length: Some(3),
//!     keep_alive: head.keep_alive(),
//!     ..Response::new(Status::Ok, SystemTime::now())
//! };
//! let n = response.write(&mut out).ok_or("too long")?;
//! assert!(out[..n].starts_with(b"HTTP/1.1 200 OK\r\nDate: "));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod authority;
mod body;
mod date;
mod fields;
mod head;
mod representation;
mod response;
mod status;
mod target;
#[cfg(test)]
mod tests;

pub use body::{Body, Discarded};
pub use fields::Fields;
pub use head::{Head, MAX_FIELDS, MAX_HEAD, MAX_TARGET, Method, Refusal};
pub use representation::{Condition, Part, Representation};
pub use response::{ContentRange, Response};
pub use status::Status;
