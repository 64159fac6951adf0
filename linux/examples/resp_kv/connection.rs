//! Commands about the connection and the server.

use crate::client::client_text;
use crate::commands::{COMMANDS, Call, Command, Done, Refusal, Then, find};
use crate::protocol::{Arguments, integer, is, matches};
use crate::service::{CLIENTS, Replies, Service, VERSION};
use crate::store::KEYS;
use core::fmt::Write;
use std::time::SystemTime;
use tidegate::Escaped;

pub(crate) fn ping(call: &mut Call<'_>) -> Done {
    match call.words.len() {
        1 => call.reply.simple("PONG"),
        2 => call.reply.bulk(call.words.at(1)),
        _ => return Err(Refusal::Arguments("ping", None)),
    }
    Ok(())
}

pub(crate) fn echo(call: &mut Call<'_>) -> Done {
    call.reply.bulk(call.words.at(1));
    Ok(())
}

pub(crate) fn select(call: &mut Call<'_>) -> Done {
    match integer(call.words.at(1)).ok_or(Refusal::NUMBER)? {
        0 => call.ok(),
        _ => Err(Refusal::Plain("ERR DB index is out of range")),
    }
}

pub(crate) fn quit(call: &mut Call<'_>) -> Done {
    call.then = Then::Close;
    call.ok()
}

pub(crate) fn reset(call: &mut Call<'_>) -> Done {
    let client = call.client();
    client.name.clear();
    (client.resp3, client.replies) = (false, Replies::On);
    (client.queue, client.watched) = (None, None);
    call.reply.set_resp3(false);
    call.reply.simple("RESET");
    Ok(())
}

const WRONG_PASSWORD: Refusal =
    Refusal::Plain("WRONGPASS invalid username-password pair or user is disabled.");

/// The only user is `default`, which has no password, so any will do.
fn authenticate(user: &[u8]) -> Done {
    match user {
        b"default" => Ok(()),
        _ => Err(WRONG_PASSWORD),
    }
}

pub(crate) fn auth(call: &mut Call<'_>) -> Done {
    match call.words.len() {
        2 => Err(Refusal::Plain(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        3 => {
            authenticate(call.words.at(1))?;
            call.ok()
        }
        _ => Err(Refusal::SYNTAX),
    }
}

pub(crate) fn hello(call: &mut Call<'_>) -> Done {
    let mut words = call.words.from(1);
    let resp3 = match words.next().map(integer) {
        None => call.client().resp3,
        Some(Some(2)) => false,
        Some(Some(3)) => true,
        Some(Some(_)) => return Err(Refusal::Plain("NOPROTO unsupported protocol version")),
        Some(None) => {
            return Err(Refusal::Plain(
                "ERR Protocol version is not an integer or out of range",
            ));
        }
    };
    let (mut user, mut name) = (None, None);
    while let Some(option) = words.next() {
        let (value, more) = (words.next(), is(option, "AUTH"));
        let sound = match (value, more) {
            (Some(value), true) => {
                user = Some(value);
                words.next().is_some() // the password
            }
            (Some(value), false) if is(option, "SETNAME") => {
                name = Some(client_text(value, "Client names")?);
                true
            }
            _ => false,
        };
        if !sound {
            let option = Escaped(option);
            call.reply
                .error(format_args!("ERR Syntax error in HELLO option '{option}'"));
            return Ok(());
        }
    }
    user.map_or(Ok(()), authenticate)?;
    let client = call.client();
    client.resp3 = resp3;
    if let Some(name) = name {
        client.name = name;
    }
    let id = client.id;
    let reply = &mut call.reply;
    reply.set_resp3(resp3);
    reply.map(7);
    reply.text("server");
    reply.text("redis");
    reply.text("version");
    reply.text(VERSION);
    reply.text("proto");
    reply.integer(if resp3 { 3 } else { 2 });
    reply.text("id");
    reply.integer(id);
    reply.text("mode");
    reply.text("standalone");
    reply.text("role");
    reply.text("master");
    reply.text("modules");
    reply.array(0);
    Ok(())
}

/// What the subcommands of a command are.
pub(crate) fn help(call: &mut Call<'_>, command: &str, lines: &[&str]) -> Done {
    call.reply.array(lines.len() + 1);
    call.reply.simple_fmt(format_args!(
        "{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    lines.iter().for_each(|line| call.reply.simple(line));
    Ok(())
}

/// The sections of INFO.
const SECTIONS: [&str; 7] = [
    "Server",
    "Clients",
    "Memory",
    "Persistence",
    "Stats",
    "Replication",
    "Keyspace",
];

pub(crate) fn info(call: &mut Call<'_>) -> Done {
    let wanted = call.words;
    let uptime = call.service.uptime(call.now);
    let service = &*call.service;
    call.reply.verbatim(|to| {
        let mut first = true;
        for section in SECTIONS {
            if !is_wanted(wanted, section) {
                continue;
            }
            if !first {
                to.write_str("\r\n")?;
            }
            first = false;
            write!(to, "# {section}\r\n")?;
            write_section(section, service, uptime, to)?;
        }
        Ok(())
    });
    Ok(())
}

/// Whether INFO includes this section: by its name, or as part of all.
fn is_wanted(words: Arguments<'_>, section: &str) -> bool {
    let mut asked = words.from(1);
    let all = ["all", "default", "everything"];
    words.len() == 1 || asked.any(|word| is(word, section) || all.iter().any(|name| is(word, name)))
}

fn write_section(
    section: &str,
    service: &Service,
    uptime: u64,
    to: &mut dyn Write,
) -> core::fmt::Result {
    match section {
        "Server" => write!(
            to,
            "redis_version:{VERSION}\r\nserver_name:tidegate\r\nredis_mode:standalone\r\n\
             process_id:{}\r\nuptime_in_seconds:{uptime}\r\n",
            std::process::id(),
        ),
        "Clients" => write!(
            to,
            "connected_clients:{}\r\nmaxclients:{}\r\n",
            service.connected, CLIENTS
        ),
        "Memory" => write!(
            to,
            "used_memory:{}\r\nmaxmemory_policy:noeviction\r\n",
            Service::memory() + crate::KvMemory::SIZE
        ),
        "Persistence" => to.write_str("loading:0\r\naof_enabled:0\r\n"),
        "Stats" => write!(
            to,
            "total_connections_received:{}\r\ntotal_commands_processed:{}\r\n\
             total_error_replies:{}\r\n",
            service.accepted, service.commands, service.errors
        ),
        "Replication" => to.write_str("role:master\r\nconnected_slaves:0\r\n"),
        _ => write!(
            to,
            "keys:{}\r\nmaxkeys:{KEYS}\r\ndb0:keys={},expires={},avg_ttl=0\r\n",
            service.store.len(),
            service.store.len(),
            service.store.expiring(),
        ),
    }
}

pub(crate) fn command(call: &mut Call<'_>) -> Done {
    let (sub, names) = (call.words.at(1), call.words.from(2));
    let reply = &mut call.reply;
    if call.words.len() == 1 || (is(sub, "INFO") && call.words.len() == 2) {
        reply.array(COMMANDS.len());
        COMMANDS.iter().for_each(|known| describe(known, call));
    } else if is(sub, "INFO") {
        reply.array(call.words.len() - 2);
        for name in names {
            match find(name) {
                Some(known) => describe(known, call),
                None => call.reply.null(),
            }
        }
    } else if is(sub, "COUNT") {
        reply.count(COMMANDS.len());
    } else if is(sub, "DOCS") {
        let all = call.words.len() == 2;
        let asked = |known: &&Command| all || names.clone().any(|name| is(name, known.name));
        reply.map(COMMANDS.iter().filter(asked).count());
        for known in COMMANDS.iter().filter(asked) {
            reply.text(known.name);
            reply.map(2);
            reply.text("summary");
            reply.text(known.summary);
            reply.text("group");
            reply.text(known.group);
        }
    } else if is(sub, "LIST") {
        let pattern = match call.words.len() {
            2 => &b"*"[..],
            5 if is(call.words.at(2), "FILTERBY") && is(call.words.at(3), "PATTERN") => {
                call.words.at(4)
            }
            _ => return Err(Refusal::SYNTAX),
        };
        let found = |known: &&Command| matches(pattern, known.name.as_bytes());
        reply.array(COMMANDS.iter().filter(found).count());
        for known in COMMANDS.iter().filter(found) {
            reply.text(known.name);
        }
    } else {
        return help(
            call,
            "COMMAND",
            &[
                "COUNT",
                "DOCS [<name> ...]",
                "INFO [<name> ...]",
                "LIST [FILTERBY PATTERN <pattern>]",
            ],
        );
    }
    Ok(())
}

/// The COMMAND entry of one, in the form of redis 7: ten elements, the last four of them empty here.
fn describe(known: &Command, call: &mut Call<'_>) {
    let reply = &mut call.reply;
    reply.array(10);
    reply.text(known.name);
    reply.integer(known.arity);
    reply.set(known.flags.len());
    known.flags.iter().for_each(|flag| reply.simple(flag));
    known.keys.iter().for_each(|key| reply.integer(*key));
    for _ in 0..4 {
        reply.set(0);
    }
}

/// Settings that clients query, as they are here.
const SETTINGS: [(&str, &str); 7] = [
    ("appendonly", "no"),
    ("databases", "1"),
    ("maxclients", "64"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("proto-max-bulk-len", "4000"),
    ("save", ""),
];

pub(crate) fn config(call: &mut Call<'_>) -> Done {
    let (sub, count) = (call.words.at(1), call.words.len());
    if is(sub, "GET") {
        let patterns = call.words.from(2);
        let found = |setting: &&(&str, &str)| {
            let name = setting.0.as_bytes();
            patterns.clone().any(|pattern| matches(pattern, name))
        };
        call.reply.map(SETTINGS.iter().filter(found).count());
        for (name, value) in SETTINGS.iter().filter(found) {
            call.reply.text(name);
            call.reply.text(value);
        }
        Ok(())
    } else if is(sub, "SET") {
        if count % 2 != 0 {
            return Err(Refusal::Arguments("config", Some("set")));
        }
        let name = Escaped(call.words.at(2));
        call.reply.error(format_args!(
            "ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config"
        ));
        Ok(())
    } else if is(sub, "RESETSTAT") {
        let service = &mut *call.service;
        (service.commands, service.errors) = (0, 0);
        call.ok()
    } else {
        help(
            call,
            "CONFIG",
            &["GET <pattern> [<pattern> ...]", "RESETSTAT"],
        )
    }
}

pub(crate) fn time(call: &mut Call<'_>) -> Done {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    call.reply.array(2);
    for number in [since.as_secs(), since.subsec_micros().into()] {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        call.reply.text(&crate::protocol::decimal(number));
    }
    Ok(())
}
