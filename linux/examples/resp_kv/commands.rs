//! The commands: which there are, and how one is found, checked and run.
//!
//! Names, arities, flags and errors are those of redis 7. What it has and this has not is an unknown command, as there.

use crate::protocol::{Arguments, is};
use crate::reply::Reply;
use crate::service::{Client, Service};
use crate::store::StoreError;
use crate::{client, connection, keys, strings, transactions};
use core::fmt::{self, Write};
use tidegate::{Escaped, Instant};

/// A command that is being run.
pub(crate) struct Call<'a> {
    /// Its words, the name first, and all of it as it came.
    pub(crate) words: Arguments<'a>,
    pub(crate) frame: &'a [u8],
    pub(crate) reply: Reply<'a>,
    pub(crate) service: &'a mut Service,
    /// The index of the client that sent it.
    pub(crate) client: usize,
    pub(crate) now: Instant,
    /// What to do after the reply.
    pub(crate) then: Then,
}

/// What to do after a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    GoOn,
    /// Close once the reply is sent.
    Close,
    /// Close without one.
    Drop,
    /// Run what was queued instead; there is no reply yet.
    Exec,
}

impl Call<'_> {
    /// The client that sent it.
    pub(crate) fn client(&mut self) -> &mut Client {
        self.service.client(self.client)
    }

    /// The one reply of most commands that change something.
    pub(crate) fn ok(&mut self) -> Done {
        self.reply.simple("OK");
        Ok(())
    }
}

/// Why a command is refused; it changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// A reply in redis' words.
    Plain(&'static str),
    /// The wrong number of arguments for a command, or for `command|subcommand`.
    Arguments(&'static str, Option<&'static str>),
    /// A time in the past, or so far ahead that it cannot be counted, for this command.
    Expiry(&'static str),
    Store(StoreError),
}

impl Refusal {
    pub(crate) const SYNTAX: Self = Self::Plain("ERR syntax error");
    pub(crate) const NUMBER: Self = Self::Plain("ERR value is not an integer or out of range");
}

impl From<StoreError> for Refusal {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Arguments(name, None) => {
                write!(f, "ERR wrong number of arguments for '{name}' command")
            }
            Self::Arguments(name, Some(sub)) => {
                write!(
                    f,
                    "ERR wrong number of arguments for '{name}|{sub}' command"
                )
            }
            Self::Expiry(name) => write!(f, "ERR invalid expire time in '{name}' command"),
            Self::Store(why) => why.fmt(f),
        }
    }
}

pub(crate) type Done = Result<(), Refusal>;

/// A command.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// How many words it has, its name counted; if negative, at least so many.
    pub(crate) arity: i64,
    pub(crate) flags: &'static [&'static str],
    /// Of its words that are keys the first, the last (-1: the last of all) and the step; 0 if none is.
    pub(crate) keys: [i64; 3],
    pub(crate) group: &'static str,
    pub(crate) summary: &'static str,
    run: fn(&mut Call<'_>) -> Done,
}

/// Why a command is refused before it is run or queued.
enum Fault {
    /// The wrong number of words, for it or for its subcommand.
    Arguments(Option<&'static str>),
    /// It has no such subcommand.
    Subcommand,
}

impl Command {
    fn fault(&self, words: Arguments<'_>) -> Option<Fault> {
        if !takes(self.arity, words.len()) {
            return Some(Fault::Arguments(None));
        }
        let mut subs = SUBCOMMANDS
            .iter()
            .filter(|(of, ..)| *of == self.name)
            .peekable();
        if words.len() == 1 || subs.peek().is_none() {
            return None;
        }
        match subs.find(|(_, sub, _)| is(words.at(1), sub)) {
            None => Some(Fault::Subcommand),
            Some((_, _, arity)) if takes(*arity, words.len()) => None,
            Some((_, sub, _)) => Some(Fault::Arguments(Some(sub))),
        }
    }
}

/// Whether an arity allows so many words.
fn takes(arity: i64, words: usize) -> bool {
    let words = i64::try_from(words).unwrap_or(i64::MAX);
    words == arity || (arity < 0 && words >= -arity)
}

/// The command of this name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    let mut all = COMMANDS.iter();
    all.find(|command| is(name, command.name))
}

/// Runs one. An empty line is no command.
pub(crate) fn run(call: &mut Call<'_>) {
    let name = call.words.at(0);
    if call.words.len() == 0 {
        return;
    }
    let queues = call.client().queue.is_some();
    let done = match find(name).map(|command| (command, command.fault(call.words))) {
        Some((command, Some(fault))) => {
            transactions::fail(call);
            match fault {
                Fault::Arguments(sub) => Err(Refusal::Arguments(command.name, sub)),
                Fault::Subcommand => unknown_subcommand(call, command.name),
            }
        }
        Some((command, None)) if queues && !transactions::is_immediate(command.name) => {
            transactions::queue(call)
        }
        Some((command, None)) => {
            let done = (command.run)(call);
            let writes = done.is_ok() && command.flags.first() == Some(&"write");
            call.service.writes += u64::from(writes);
            done
        }
        // A browser tricked into connecting (cross-protocol scripting): what follows may look like commands.
        None if is(name, "POST") || is(name, "Host:") => {
            call.then = Then::Drop;
            return;
        }
        None => {
            transactions::fail(call);
            unknown(call);
            return;
        }
    };
    if let Err(why) = done {
        call.reply.clear();
        call.reply.error(why);
    }
}

fn unknown(call: &mut Call<'_>) {
    let shown = Unknown(call.words);
    call.reply.error(shown);
}

struct Unknown<'a>(Arguments<'a>);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Escaped(self.0.at(0));
        write!(
            f,
            "ERR unknown command '{name}', with args beginning with: "
        )?;
        let mut left = 128_usize;
        for word in self.0.from(1) {
            let shown = word.get(..left.min(word.len())).unwrap_or(word);
            write!(f, "'{}' ", Escaped(shown))?;
            left = left.saturating_sub(word.len() + 3);
            if left == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// A subcommand that its command has not.
fn unknown_subcommand(call: &mut Call<'_>, command: &str) -> Done {
    let name = Escaped(call.words.at(1));
    let command = Upper(command);
    call.reply.error(format_args!(
        "ERR unknown subcommand '{name}'. Try {command} HELP."
    ));
    Ok(())
}

/// A name in upper case.
struct Upper<'a>(&'a str);

impl fmt::Display for Upper<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.0.chars();
        all.try_for_each(|one| f.write_char(one.to_ascii_uppercase()))
    }
}

/// Commands that have subcommands, these, and the arities of them, the name of the command counted.
#[rustfmt::skip]
const SUBCOMMANDS: [(&str, &str, i64); 20] = [
    ("client", "getname", 2), ("client", "getredir", 2), ("client", "help", 2), ("client", "id", 2), ("client", "info", 2),
    ("client", "list", -2), ("client", "no-evict", 3), ("client", "no-touch", 3), ("client", "reply", 3),
    ("client", "setinfo", 4), ("client", "setname", 3),
    ("command", "count", 2), ("command", "docs", -2), ("command", "help", 2), ("command", "info", -2), ("command", "list", -2),
    ("config", "get", -3), ("config", "help", 2), ("config", "resetstat", 2), ("config", "set", -4),
];

const READ: &[&str] = &["readonly", "fast"];
const SCAN: &[&str] = &["readonly"];
const WRITE: &[&str] = &["write", "denyoom", "fast"];
const DROP: &[&str] = &["write", "fast"];
const TALK: &[&str] = &["noscript", "loading", "stale", "fast"];
const ADMIN: &[&str] = &["loading", "stale"];

const fn command(
    name: &'static str,
    arity: i64,
    flags: &'static [&'static str],
    keys: [i64; 3],
    (group, summary): (&'static str, &'static str),
    run: fn(&mut Call<'_>) -> Done,
) -> Command {
    Command {
        name,
        arity,
        flags,
        keys,
        group,
        summary,
        run,
    }
}

const ONE: [i64; 3] = [1, 1, 1];
const ALL: [i64; 3] = [1, -1, 1];
const PAIRS: [i64; 3] = [1, -1, 2];
const NONE: [i64; 3] = [0; 3];

const fn string(summary: &'static str) -> (&'static str, &'static str) {
    ("string", summary)
}
const fn generic(summary: &'static str) -> (&'static str, &'static str) {
    ("generic", summary)
}
const fn talk(summary: &'static str) -> (&'static str, &'static str) {
    ("connection", summary)
}
const fn transaction(summary: &'static str) -> (&'static str, &'static str) {
    ("transactions", summary)
}
const fn server(summary: &'static str) -> (&'static str, &'static str) {
    ("server", summary)
}

/// Those that are used most are found first.
#[rustfmt::skip]
pub(crate) static COMMANDS: [Command; 53] = [
    command("get", 2, READ, ONE, string("Get the value of a key"), strings::get),
    command("set", -3, WRITE, ONE, string("Set the value of a key, and when it expires"), strings::set),
    command("incr", 2, WRITE, ONE, string("Add one to the integer of a key"), strings::incr),
    command("ping", -1, TALK, NONE, talk("Ping the server"), connection::ping),
    command("del", -2, DROP, ALL, generic("Delete keys"), keys::del),
    command("mget", -2, READ, ALL, string("Get the values of keys"), strings::mget),
    command("mset", -3, WRITE, PAIRS, string("Set the values of keys"), strings::mset),
    command("exists", -2, READ, ALL, generic("Count the keys that exist"), keys::exists),
    command("expire", -3, DROP, ONE, generic("Set in how many seconds a key expires"), keys::expire),
    command("ttl", 2, READ, ONE, generic("In how many seconds a key expires"), keys::ttl),
    command("incrby", 3, WRITE, ONE, string("Add to the integer of a key"), strings::incrby),
    command("decr", 2, WRITE, ONE, string("Subtract one from the integer of a key"), strings::decr),
    command("decrby", 3, WRITE, ONE, string("Subtract from the integer of a key"), strings::decrby),
    command("append", 3, WRITE, ONE, string("Append to the value of a key"), strings::append),
    command("strlen", 2, READ, ONE, string("The length of the value of a key"), strings::strlen),
    command("getset", 3, WRITE, ONE, string("Set the value of a key; get the old one"), strings::getset),
    command("getdel", 2, DROP, ONE, string("Get the value of a key, and delete it"), strings::getdel),
    command("getex", -2, DROP, ONE, string("Get the value of a key, and set when it expires"), strings::getex),
    command("setnx", 3, WRITE, ONE, string("Set the value of a key that does not exist"), strings::setnx),
    command("setex", 4, WRITE, ONE, string("Set the value of a key, and in how many seconds it expires"), strings::setex),
    command("psetex", 4, WRITE, ONE, string("Set the value of a key, and in how many milliseconds it expires"), strings::psetex),
    command("msetnx", -3, WRITE, PAIRS, string("Set the values of keys if none of them exists"), strings::msetnx),
    command("unlink", -2, DROP, ALL, generic("Delete keys"), keys::del),
    command("touch", -2, READ, ALL, generic("Count the keys that exist"), keys::exists),
    command("type", 2, READ, ONE, generic("The type of a key: string or none"), keys::kind),
    command("pexpire", -3, DROP, ONE, generic("Set in how many milliseconds a key expires"), keys::pexpire),
    command("expireat", -3, DROP, ONE, generic("Set at what second of Unix time a key expires"), keys::expireat),
    command("pexpireat", -3, DROP, ONE, generic("Set at what millisecond of Unix time a key expires"), keys::pexpireat),
    command("pttl", 2, READ, ONE, generic("In how many milliseconds a key expires"), keys::pttl),
    command("expiretime", 2, READ, ONE, generic("At what second of Unix time a key expires"), keys::expiretime),
    command("pexpiretime", 2, READ, ONE, generic("At what millisecond of Unix time a key expires"), keys::pexpiretime),
    command("persist", 2, DROP, ONE, generic("Have a key expire no more"), keys::persist),
    command("keys", 2, SCAN, NONE, generic("All keys that match a pattern"), keys::keys),
    command("scan", -2, SCAN, NONE, generic("Keys, some at a time"), keys::scan),
    command("multi", 1, TALK, NONE, transaction("Queue what follows, up to EXEC"), transactions::multi),
    command("exec", 1, TALK, NONE, transaction("Run what was queued, and nothing between"), transactions::exec),
    command("discard", 1, TALK, NONE, transaction("Forget what was queued"), transactions::discard),
    command("watch", -2, TALK, ALL, transaction("Have EXEC do nothing if something was changed"), transactions::watch),
    command("unwatch", 1, TALK, NONE, transaction("Have EXEC run whatever was changed"), transactions::unwatch),
    command("echo", 2, TALK, NONE, talk("Send a text back"), connection::echo),
    command("hello", -1, TALK, NONE, talk("Choose the version of the protocol"), connection::hello),
    command("auth", -2, TALK, NONE, talk("Authenticate: there are no passwords here"), connection::auth),
    command("client", -2, TALK, NONE, talk("Names of connections, and the list of them"), client::client),
    command("select", 2, TALK, NONE, talk("Choose the database: there is number 0"), connection::select),
    command("quit", -1, TALK, NONE, talk("Close the connection"), connection::quit),
    command("reset", 1, TALK, NONE, talk("Make the connection as it was at first"), connection::reset),
    command("info", -1, ADMIN, NONE, server("Figures"), connection::info),
    command("command", -1, ADMIN, NONE, server("What commands there are"), connection::command),
    command("config", -2, ADMIN, NONE, server("Settings, to be read"), connection::config),
    command("dbsize", 1, READ, NONE, server("How many keys there are"), keys::dbsize),
    command("flushall", -1, DROP, NONE, server("Delete all keys"), keys::flush),
    command("flushdb", -1, DROP, NONE, server("Delete all keys"), keys::flush),
    command("time", 1, TALK, NONE, server("Unix time: seconds, and microseconds"), connection::time),
];

#[cfg(test)]
mod tests;
