//! CLIENT: a client's name and attributes, and the list of connected clients.

use crate::commands::{Call, Done, Refusal};
use crate::connection::help;
use crate::protocol::{integer, is};
use crate::service::Replies;
use heapless::String;
use tidegate::Escaped;

/// A name that a client gives: printable, and not too long for its memory.
pub(crate) fn client_text<const N: usize>(
    text: &[u8],
    what: &'static str,
) -> Result<String<N>, Refusal> {
    let printable = text.iter().all(u8::is_ascii_graphic);
    let text = str::from_utf8(text).ok().filter(|_| printable);
    let text = text.ok_or(Refusal::Plain(match what {
        "lib-name" => "ERR lib-name cannot contain spaces, newlines or special characters.",
        "lib-ver" => "ERR lib-ver cannot contain spaces, newlines or special characters.",
        _ => "ERR Client names cannot contain spaces, newlines or special characters.",
    }))?;
    String::try_from(text).map_err(|_| {
        Refusal::Plain("ERR name too long: at most 64 bytes of a client's, 32 of a library's, 16 of its version")
    })
}

pub(crate) fn client(call: &mut Call<'_>) -> Done {
    let (sub, value) = (call.words.at(1), call.words.at(2));
    if is(sub, "ID") {
        let id = call.client().id;
        call.reply.integer(id);
        Ok(())
    } else if is(sub, "SETNAME") {
        call.client().name = client_text(value, "Client names")?;
        call.ok()
    } else if is(sub, "GETNAME") {
        let name = call.client().name.clone();
        let name = Some(name.as_bytes()).filter(|name| !name.is_empty());
        call.reply.bulk_or_null(name);
        Ok(())
    } else if is(sub, "SETINFO") {
        set_library(call)
    } else if is(sub, "INFO") {
        let id = call.client().id;
        list(call, |other| other == id);
        Ok(())
    } else if is(sub, "LIST") {
        client_list(call)
    } else if is(sub, "REPLY") {
        let replies = match value {
            _ if is(value, "ON") => Replies::On,
            _ if is(value, "OFF") => Replies::Off,
            _ if is(value, "SKIP") => Replies::SkipNext,
            _ => return Err(Refusal::SYNTAX),
        };
        call.client().replies = replies;
        call.ok()
    } else if is(sub, "NO-EVICT") || is(sub, "NO-TOUCH") {
        // Nothing is evicted, and no use of a key is noted.
        match is(value, "ON") || is(value, "OFF") {
            true => call.ok(),
            false => Err(Refusal::SYNTAX),
        }
    } else if is(sub, "GETREDIR") {
        call.reply.integer(-1);
        Ok(())
    } else {
        help(
            call,
            "CLIENT",
            &[
                "GETNAME",
                "GETREDIR",
                "ID",
                "INFO",
                "LIST [ID <id> ...]",
                "NO-EVICT (ON|OFF)",
                "NO-TOUCH (ON|OFF)",
                "REPLY (ON|OFF|SKIP)",
                "SETINFO (LIB-NAME|LIB-VER) <text>",
                "SETNAME <name>",
            ],
        )
    }
}

/// The attributes that libraries set when they connect.
fn set_library(call: &mut Call<'_>) -> Done {
    let (what, text) = (call.words.at(2), call.words.at(3));
    if is(what, "LIB-NAME") {
        call.client().library = client_text(text, "lib-name")?;
    } else if is(what, "LIB-VER") {
        call.client().library_version = client_text(text, "lib-ver")?;
    } else {
        let what = Escaped(what);
        call.reply
            .error(format_args!("ERR Unrecognized option '{what}'"));
        return Ok(());
    }
    call.ok()
}

fn client_list(call: &mut Call<'_>) -> Done {
    let words = call.words;
    let (option, kind) = (words.at(2), words.at(3));
    if words.len() == 2 {
        list(call, |_| true);
    } else if words.len() == 4 && is(option, "TYPE") {
        let known = ["normal", "master", "replica", "slave", "pubsub"];
        if !known.iter().any(|name| is(kind, name)) {
            let kind = Escaped(kind);
            call.reply
                .error(format_args!("ERR Unknown client type '{kind}'"));
            return Ok(());
        }
        list(call, |_| is(kind, "normal"));
    } else if words.len() > 3 && is(option, "ID") {
        if words.from(3).any(|id| integer(id).is_none()) {
            return Err(Refusal::Plain("ERR Invalid client ID"));
        }
        list(call, |id| {
            words.from(3).any(|word| integer(word) == Some(id))
        });
    } else {
        return Err(Refusal::SYNTAX);
    }
    Ok(())
}

/// Lists the clients whose ids are `wanted`.
fn list(call: &mut Call<'_>, wanted: impl Fn(i64) -> bool) {
    let (service, now) = (&*call.service, call.now);
    call.reply.verbatim(|to| {
        for client in service.clients().filter(|client| wanted(client.id)) {
            client.write(now, to)?;
            to.write_char('\n')?;
        }
        Ok(())
    });
}
