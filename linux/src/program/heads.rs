//! [`Heads`]: heads of requests that are longer than a receive window.

use static_cell::ConstStaticCell;
use tidegate::Token;
use tidegate::http::MAX_HEAD;

/// The most connections of the listener for metrics.
pub(crate) const CONNECTIONS: u32 = 16;

/// The heads that are being received and no longer fit into the receive windows of their connections, which are half as
/// large as the longest head: larger windows would cost every connection of the service 4 KiB, and a parser that is fed by
/// the line would be a second reading of heads beside [`Head::parse`](tidegate::http::Head::parse). 128 KiB of address space;
/// no page of it is touched before a head is as long.
#[derive(Debug)]
pub(crate) struct Heads([Gathered; CONNECTIONS as usize]);

/// The beginning of a head.
#[derive(Clone, Copy, Debug)]
struct Gathered {
    /// The connection; `None` if this entry is free.
    of: Option<Token>,
    /// Bytes that were taken out of the window.
    len: usize,
    bytes: [u8; MAX_HEAD],
}

/// Of the only listener for metrics.
static HEADS: ConstStaticCell<Heads> = ConstStaticCell::new(Heads::new());

impl Heads {
    /// Bytes of memory.
    pub(crate) const SIZE: usize = size_of::<Self>();

    const fn new() -> Self {
        Self(
            [Gathered {
                of: None,
                len: 0,
                bytes: [0; MAX_HEAD],
            }; CONNECTIONS as usize],
        )
    }

    /// The only ones: to be taken once.
    pub(crate) fn take() -> &'static mut Self {
        HEADS.take()
    }

    /// The head of a connection as far as it is here: what was [gathered](Self::gather) before, and how many bytes that are,
    /// with the data of the window behind it.
    ///
    /// Work: copies the data if something was gathered before.
    pub(crate) fn with<'h>(&'h mut self, of: Token, data: &'h [u8]) -> (&'h [u8], usize) {
        let Some(entry) = self.0.iter_mut().find(|entry| entry.of == Some(of)) else {
            return (data, 0);
        };
        let end = entry.put(data);
        (entry.bytes.get(..end).unwrap_or(&[]), entry.len)
    }

    /// Takes over the data of a window that is full, but for its last byte, so that the connection still counts as one in the
    /// middle of a request. Returns how many bytes to consume: none if every entry is taken, which there is for each
    /// connection.
    pub(crate) fn gather(&mut self, of: Token, data: &[u8]) -> usize {
        let mine = |entry: &Gathered| entry.of == Some(of);
        let at = self.0.iter().position(mine);
        let at = at.or_else(|| self.0.iter().position(|entry| entry.of.is_none()));
        let Some(entry) = at.and_then(|at| self.0.get_mut(at)) else {
            return 0;
        };
        let (_, taken) = data.split_last().unwrap_or((&0, &[]));
        let end = entry.put(taken);
        let n = end - entry.len;
        (entry.of, entry.len) = (Some(of), end);
        n
    }

    /// The connection has no use for its entry any more.
    pub(crate) fn release(&mut self, of: Token) {
        for entry in &mut self.0 {
            if entry.of == Some(of) {
                (entry.of, entry.len) = (None, 0);
            }
        }
    }
}

impl Gathered {
    /// Copies as much of the data as there is space for behind what was gathered; returns where it ends.
    fn put(&mut self, data: &[u8]) -> usize {
        let free = self.bytes.get_mut(self.len..).unwrap_or(&mut []);
        let n = free.len().min(data.len());
        if let (Some(to), Some(from)) = (free.get_mut(..n), data.get(..n)) {
            to.copy_from_slice(from);
        }
        self.len + n
    }
}
