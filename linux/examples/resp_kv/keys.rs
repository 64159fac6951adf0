//! Commands about keys, and when they expire.

use crate::commands::{Call, Done, Refusal};
use crate::protocol::{decimal, integer, is, matches};
use core::time::Duration;
use std::time::SystemTime;
use tidegate::Instant;

/// How a time is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Seconds,
    Millis,
    /// Since 1970.
    UnixSeconds,
    UnixMillis,
}

impl Unit {
    /// By the option that precedes it.
    pub(crate) fn of_option(option: &[u8]) -> Option<Self> {
        let options = [
            ("EX", Self::Seconds),
            ("PX", Self::Millis),
            ("EXAT", Self::UnixSeconds),
            ("PXAT", Self::UnixMillis),
        ];
        let mut options = options.into_iter();
        let found = options.find(|(name, _)| is(option, name));
        found.map(|(_, unit)| unit)
    }

    /// Milliseconds from now until then; `None` if that is too far for a number.
    fn millis_from_now(self, time: i64, unix: i64) -> Option<i64> {
        match self {
            // What Unix time it will be is a number, too.
            Self::Seconds => time
                .checked_mul(1000)
                .filter(|time| time.checked_add(unix).is_some()),
            Self::Millis => Some(time).filter(|time| time.checked_add(unix).is_some()),
            Self::UnixSeconds => Some(time.checked_mul(1000)?.saturating_sub(unix)),
            Self::UnixMillis => Some(time.saturating_sub(unix)),
        }
    }
}

/// Unix time in milliseconds.
fn unix_millis() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// So many milliseconds from `now`; in the past, now. The end of the clock, in 584 years, is not [`Instant::NEVER`].
fn instant(millis: i64, now: Instant) -> Instant {
    let after = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let last = Instant::from_nanos(u64::MAX - 1);
    now.plus(after).min(last)
}

/// When a value expires, of the options of the command `name`: the number must be above 0, the time may have passed.
pub(crate) fn expiry(
    text: &[u8],
    unit: Unit,
    name: &'static str,
    now: Instant,
) -> Result<Instant, Refusal> {
    let time = integer(text).ok_or(Refusal::NUMBER)?;
    let millis = unit.millis_from_now(time, unix_millis());
    let millis = millis.filter(|_| time > 0).ok_or(Refusal::Expiry(name))?;
    Ok(instant(millis, now))
}

pub(crate) fn del(call: &mut Call<'_>) -> Done {
    let (store, now) = (&mut call.service.store, call.now);
    let keys = call.words.from(1);
    call.reply
        .count(keys.filter(|key| store.remove(key, now)).count());
    Ok(())
}

pub(crate) fn exists(call: &mut Call<'_>) -> Done {
    let (store, now) = (&call.service.store, call.now);
    let keys = call.words.from(1);
    call.reply
        .count(keys.filter(|key| store.get(key, now).is_some()).count());
    Ok(())
}

pub(crate) fn kind(call: &mut Call<'_>) -> Done {
    let known = call.service.store.get(call.words.at(1), call.now);
    call.reply.simple(known.map_or("none", |_| "string"));
    Ok(())
}

pub(crate) fn expire(call: &mut Call<'_>) -> Done {
    expire_in(call, Unit::Seconds, "expire")
}

pub(crate) fn pexpire(call: &mut Call<'_>) -> Done {
    expire_in(call, Unit::Millis, "pexpire")
}

pub(crate) fn expireat(call: &mut Call<'_>) -> Done {
    expire_in(call, Unit::UnixSeconds, "expireat")
}

pub(crate) fn pexpireat(call: &mut Call<'_>) -> Done {
    expire_in(call, Unit::UnixMillis, "pexpireat")
}

/// Only a key that expires, or only one that does not, or only later, or only earlier.
#[derive(Clone, Copy, Default, Debug)]
struct Only {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Only {
    fn read(call: &mut Call<'_>) -> Result<Option<Self>, Refusal> {
        let mut only = Self::default();
        for option in call.words.from(3) {
            match option {
                _ if is(option, "NX") => only.nx = true,
                _ if is(option, "XX") => only.xx = true,
                _ if is(option, "GT") => only.gt = true,
                _ if is(option, "LT") => only.lt = true,
                _ => {
                    let option = tidegate::Escaped(option);
                    call.reply
                        .error(format_args!("ERR Unsupported option {option}"));
                    return Ok(None);
                }
            }
        }
        if only.nx && (only.xx || only.gt || only.lt) {
            return Err(Refusal::Plain(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if only.gt && only.lt {
            return Err(Refusal::Plain(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(Some(only))
    }

    /// A key that never expires does so later than any.
    fn allows(self, before: Instant, after: Instant) -> bool {
        let expires = before != Instant::NEVER;
        !((self.nx && expires)
            || (self.xx && !expires)
            || (self.gt && after <= before)
            || (self.lt && after >= before))
    }
}

fn expire_in(call: &mut Call<'_>, unit: Unit, name: &'static str) -> Done {
    let Some(only) = Only::read(call)? else {
        return Ok(());
    };
    let (key, now) = (call.words.at(1), call.now);
    let time = integer(call.words.at(2)).ok_or(Refusal::NUMBER)?;
    let millis = unit.millis_from_now(time, unix_millis());
    let at = instant(millis.ok_or(Refusal::Expiry(name))?, now);
    let store = &mut call.service.store;
    let before = store.get(key, now).map(|item| item.expires);
    let does = before.is_some_and(|before| only.allows(before, at));
    if does && at <= now {
        store.remove(key, now);
    } else if does {
        store.expire(key, at, now);
    }
    call.reply.count(usize::from(does));
    Ok(())
}

pub(crate) fn persist(call: &mut Call<'_>) -> Done {
    let (key, now) = (call.words.at(1), call.now);
    let store = &mut call.service.store;
    let expires = store
        .get(key, now)
        .is_some_and(|item| item.expires != Instant::NEVER);
    let done = expires && store.expire(key, Instant::NEVER, now);
    call.reply.count(usize::from(done));
    Ok(())
}

pub(crate) fn ttl(call: &mut Call<'_>) -> Done {
    left(call, |millis| millis.saturating_add(500) / 1000)
}

pub(crate) fn pttl(call: &mut Call<'_>) -> Done {
    left(call, |millis| millis)
}

pub(crate) fn expiretime(call: &mut Call<'_>) -> Done {
    let unix = unix_millis();
    left(call, |millis| {
        millis.saturating_add(unix).saturating_add(500) / 1000
    })
}

pub(crate) fn pexpiretime(call: &mut Call<'_>) -> Done {
    let unix = unix_millis();
    left(call, |millis| millis.saturating_add(unix))
}

/// Replies with what `show` makes of the milliseconds that are left, rounded up; -1 if it never expires, -2 if it is not
/// there.
fn left(call: &mut Call<'_>, show: impl Fn(i64) -> i64) -> Done {
    let item = call.service.store.get(call.words.at(1), call.now);
    let number = match item {
        None => -2,
        Some(item) if item.expires == Instant::NEVER => -1,
        Some(item) => {
            let nanos = item.expires.nanos_since(call.now);
            show(i64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(i64::MAX))
        }
    };
    call.reply.integer(number);
    Ok(())
}

pub(crate) fn keys(call: &mut Call<'_>) -> Done {
    let (store, now) = (&call.service.store, call.now);
    let pattern = call.words.at(1);
    let found = store
        .keys(store.len(), now)
        .filter(|(_, key)| matches(pattern, key));
    call.reply.array(found.count());
    for (_, key) in store.keys(store.len(), now) {
        if matches(pattern, key) {
            call.reply.bulk(key);
        }
    }
    Ok(())
}

/// The cursor is the number of entries of the store that are left, so no key is missed that stays.
pub(crate) fn scan(call: &mut Call<'_>) -> Done {
    let cursor = integer(call.words.at(1)).and_then(|cursor| usize::try_from(cursor).ok());
    let cursor = cursor.ok_or(Refusal::Plain("ERR invalid cursor"))?;
    let (mut pattern, mut count, mut strings) = (&b"*"[..], 10, true);
    let mut options = call.words.from(2);
    while let Some(option) = options.next() {
        let value = options.next().ok_or(Refusal::SYNTAX)?;
        if is(option, "MATCH") {
            pattern = value;
        } else if is(option, "TYPE") {
            strings = is(value, "string");
        } else if is(option, "COUNT") {
            let number = integer(value).ok_or(Refusal::NUMBER)?;
            let number = usize::try_from(number).ok().filter(|number| *number > 0);
            count = number.ok_or(Refusal::SYNTAX)?;
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    let (store, now) = (&call.service.store, call.now);
    let below = match cursor {
        0 => store.len(),
        left => left.min(store.len()),
    };
    let least = below.saturating_sub(count);
    let found = || {
        let keys = store.keys(below, now);
        keys.take_while(move |(index, _)| *index >= least)
            .filter(|(_, key)| strings && matches(pattern, key))
    };
    call.reply.array(2);
    let left = i64::try_from(least).unwrap_or(i64::MAX);
    call.reply.text(&decimal(left));
    call.reply.array(found().count());
    for (_, key) in found() {
        call.reply.bulk(key);
    }
    Ok(())
}

pub(crate) fn dbsize(call: &mut Call<'_>) -> Done {
    call.service.store.sweep(call.now);
    call.reply.count(call.service.store.len());
    Ok(())
}

pub(crate) fn flush(call: &mut Call<'_>) -> Done {
    let how = call.words.at(1);
    let sound =
        call.words.len() == 1 || (call.words.len() == 2 && (is(how, "SYNC") || is(how, "ASYNC")));
    if !sound {
        return Err(Refusal::SYNTAX);
    }
    call.service.store.clear();
    call.ok()
}
