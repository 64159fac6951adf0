//! Transactions: commands that are queued, and run with none of another client between them.

use crate::commands::{Call, Done, Refusal, Then};
use heapless::Vec;

/// Bytes of commands that are queued for one client, at most.
pub(crate) const QUEUE: usize = 1024;

/// What is queued between MULTI and EXEC.
#[derive(Default)]
pub(crate) struct Queue {
    /// The commands as they came.
    pub(crate) bytes: Vec<u8, QUEUE>,
    pub(crate) commands: usize,
    /// One of them was refused, so EXEC is.
    failed: bool,
}

/// Whether a command is run between MULTI and EXEC, too.
pub(crate) fn is_immediate(name: &str) -> bool {
    matches!(
        name,
        "multi" | "exec" | "discard" | "watch" | "quit" | "reset"
    )
}

pub(crate) fn queue(call: &mut Call<'_>) -> Done {
    let frame = call.frame;
    if let Some(queue) = &mut call.client().queue {
        if queue.bytes.extend_from_slice(frame).is_err() {
            queue.failed = true;
            return Err(Refusal::Plain(
                "ERR transaction too long: at most 1024 bytes of commands are queued",
            ));
        }
        queue.commands += 1;
    }
    call.reply.simple("QUEUED");
    Ok(())
}

/// A command was refused that would have been queued, if it came between MULTI and EXEC.
pub(crate) fn fail(call: &mut Call<'_>) {
    if let Some(queue) = &mut call.client().queue {
        queue.failed = true;
    }
}

pub(crate) fn multi(call: &mut Call<'_>) -> Done {
    let client = call.client();
    if client.queue.is_some() {
        return Err(Refusal::Plain("ERR MULTI calls can not be nested"));
    }
    client.queue = Some(Queue::default());
    call.ok()
}

pub(crate) fn exec(call: &mut Call<'_>) -> Done {
    let writes = call.service.writes;
    let client = call.client();
    let changed = client.watched.is_some_and(|then| then != writes);
    match &client.queue {
        None => return Err(Refusal::Plain("ERR EXEC without MULTI")),
        Some(queue) if queue.failed => {
            (client.queue, client.watched) = (None, None);
            return Err(Refusal::Plain(
                "EXECABORT Transaction discarded because of previous errors.",
            ));
        }
        Some(_) if changed => {
            (client.queue, client.watched) = (None, None);
            call.reply.null_array();
        }
        Some(_) => call.then = Then::Exec,
    }
    Ok(())
}

pub(crate) fn discard(call: &mut Call<'_>) -> Done {
    let client = call.client();
    client.watched = None;
    match client.queue.take() {
        Some(_) => call.ok(),
        None => Err(Refusal::Plain("ERR DISCARD without MULTI")),
    }
}

/// Any change of any key counts, which may have EXEC do nothing without need, and never the other way round.
pub(crate) fn watch(call: &mut Call<'_>) -> Done {
    let writes = call.service.writes;
    let client = call.client();
    if client.queue.is_some() {
        return Err(Refusal::Plain("ERR WATCH inside MULTI is not allowed"));
    }
    client.watched.get_or_insert(writes);
    call.ok()
}

pub(crate) fn unwatch(call: &mut Call<'_>) -> Done {
    call.client().watched = None;
    call.ok()
}
