//! Datagram sockets: the dispatcher's verbs, the session's, what [`Connections`] offers, and a [`Datagram`] itself.

use crate::session::Unknown;
use tidegate_core::{
    Connections, Datagram, DatagramMemory, Dispatcher, Local, Peer, SendError, Session, Token,
    Unavailable,
};

#[unsafe(no_mangle)]
pub fn datagrams_begin(m: &mut Dispatcher<'_>) -> Result<Token, Unavailable> {
    m.add_datagrams()
}

#[unsafe(no_mangle)]
pub fn datagrams_queue(m: &mut Dispatcher<'_>, token: Token) -> Option<bool> {
    m.queue_datagram(token);
    m.want_datagram_capacity(token);
    m.has_datagram_capacity(token)
}

#[unsafe(no_mangle)]
pub fn datagrams_end(m: &mut Dispatcher<'_>, token: Token) -> bool {
    m.close_datagrams(token);
    m.take_datagram_request(token)
}

#[unsafe(no_mangle)]
pub fn session_lend_datagrams<'m>(
    s: &mut Session<'m, Unknown>,
    memory: &'m mut DatagramMemory<4096, 1024>,
) {
    s.set_datagram_memory(memory);
}

#[unsafe(no_mangle)]
pub fn session_add_datagrams(
    s: &mut Session<'_, Unknown>,
    receive: u32,
    send: u32,
) -> Result<Token, Unavailable> {
    s.add_datagrams(receive, send)
}

#[unsafe(no_mangle)]
pub fn session_datagram_into<'s>(s: &'s mut Session<'_, Unknown>, token: Token) -> &'s mut [u8] {
    s.datagram_into(token)
}

#[unsafe(no_mangle)]
pub fn session_datagram_from<'s>(
    s: &'s Session<'_, Unknown>,
    token: Token,
) -> Option<(Peer, Option<Local>, &'s [u8])> {
    s.datagram_from(token)
}

#[unsafe(no_mangle)]
pub fn all_datagrams(
    all: &mut Connections<'_>,
    token: Token,
    local: Local,
    to: Peer,
    bytes: &[u8],
) -> Result<(), SendError> {
    all.send_datagram(token, to, bytes)?;
    all.send_datagram_from(token, local, to, bytes)?;
    all.close_datagrams(token);
    Ok(())
}

#[unsafe(no_mangle)]
pub fn datagram_is_truncated(datagram: &Datagram<'_>) -> bool {
    datagram.is_truncated()
}

#[unsafe(no_mangle)]
pub const fn local_for_reply(local: Local) -> Local {
    local.for_reply()
}
