//! Commands about values.

use crate::commands::{Call, Done, Refusal};
use crate::keys::{Unit, expiry};
use crate::protocol::{decimal, integer, is};
use crate::store::{StoreError, VALUE};
use heapless::Vec;
use tidegate::Instant;

pub(crate) fn get(call: &mut Call<'_>) -> Done {
    let item = call.service.store.get(call.words.at(1), call.now);
    call.reply.bulk_or_null(item.map(|item| &item.value[..]));
    Ok(())
}

pub(crate) fn mget(call: &mut Call<'_>) -> Done {
    call.reply.array(call.words.len() - 1);
    for key in call.words.from(1) {
        let item = call.service.store.get(key, call.now);
        call.reply.bulk_or_null(item.map(|item| &item.value[..]));
    }
    Ok(())
}

pub(crate) fn strlen(call: &mut Call<'_>) -> Done {
    let item = call.service.store.get(call.words.at(1), call.now);
    call.reply.count(item.map_or(0, |item| item.value.len()));
    Ok(())
}

/// When a value expires that is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keep {
    /// Never, or at a time.
    Until(Instant),
    /// When the one before would have.
    Ttl,
}

pub(crate) fn set(call: &mut Call<'_>) -> Done {
    let (mut if_there, mut get, mut keeps, mut timed) = (None::<bool>, false, false, None);
    let mut options = call.words.from(3);
    while let Some(option) = options.next() {
        if is(option, "NX") && if_there.is_none_or(|there| !there) {
            if_there = Some(false);
        } else if is(option, "XX") && if_there.is_none_or(|there| there) {
            if_there = Some(true);
        } else if is(option, "GET") {
            get = true;
        } else if is(option, "KEEPTTL") && timed.is_none() {
            keeps = true;
        } else if let Some(unit) = Unit::of_option(option)
            && !keeps
        {
            timed = Some(again(timed, unit, options.next())?);
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    // What is wrong with the syntax comes first.
    let keep = match timed {
        Some((unit, time)) => Keep::Until(expiry(time, unit, "set", call.now)?),
        None if keeps => Keep::Ttl,
        None => Keep::Until(Instant::NEVER),
    };
    put(call, call.words.at(2), keep, if_there, get)
}

/// A time of an option, which may come again in the same unit: the last one counts.
fn again<'w>(
    before: Option<(Unit, &[u8])>,
    unit: Unit,
    time: Option<&'w [u8]>,
) -> Result<(Unit, &'w [u8]), Refusal> {
    let same = before.is_none_or(|(before, _)| before == unit);
    let time = time.filter(|_| same).ok_or(Refusal::SYNTAX)?;
    Ok((unit, time))
}

/// Sets the first key to `value`. `if_there`: only if it exists, or only if it does not. Replies with the old value if `get`.
fn put(call: &mut Call<'_>, value: &[u8], keep: Keep, if_there: Option<bool>, get: bool) -> Done {
    let (key, now) = (call.words.at(1), call.now);
    let known = call.service.store.get(key, now);
    let does = if_there.is_none_or(|there| there == known.is_some());
    let expires = match keep {
        Keep::Until(at) => at,
        Keep::Ttl => known.map_or(Instant::NEVER, |item| item.expires),
    };
    if get {
        call.reply.bulk_or_null(known.map(|item| &item.value[..]));
    }
    if does {
        call.service.store.set(key, value, expires, now)?;
    }
    match (get, does) {
        (true, _) => {}
        (false, true) => call.reply.simple("OK"),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

pub(crate) fn getset(call: &mut Call<'_>) -> Done {
    let keep = Keep::Until(Instant::NEVER);
    put(call, call.words.at(2), keep, None, true)
}

pub(crate) fn setnx(call: &mut Call<'_>) -> Done {
    let (key, now) = (call.words.at(1), call.now);
    let fresh = call.service.store.get(key, now).is_none();
    if fresh {
        let never = Instant::NEVER;
        call.service.store.set(key, call.words.at(2), never, now)?;
    }
    call.reply.count(usize::from(fresh));
    Ok(())
}

pub(crate) fn setex(call: &mut Call<'_>) -> Done {
    let at = expiry(call.words.at(2), Unit::Seconds, "setex", call.now)?;
    put(call, call.words.at(3), Keep::Until(at), None, false)
}

pub(crate) fn psetex(call: &mut Call<'_>) -> Done {
    let at = expiry(call.words.at(2), Unit::Millis, "psetex", call.now)?;
    put(call, call.words.at(3), Keep::Until(at), None, false)
}

pub(crate) fn getdel(call: &mut Call<'_>) -> Done {
    get(call)?;
    call.service.store.remove(call.words.at(1), call.now);
    Ok(())
}

pub(crate) fn getex(call: &mut Call<'_>) -> Done {
    let (key, now) = (call.words.at(1), call.now);
    let there = call.service.store.get(key, now).is_some();
    let (mut persists, mut timed) = (false, None);
    let mut options = call.words.from(2);
    while let Some(option) = options.next() {
        if is(option, "PERSIST") && timed.is_none() {
            persists = true;
        } else if let Some(unit) = Unit::of_option(option)
            && !persists
        {
            timed = Some(again(timed, unit, options.next())?);
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    let at = match timed {
        // Redis does not parse the time for a missing key.
        Some((unit, time)) if there => Some(expiry(time, unit, "getex", now)?),
        Some(_) => None,
        None => persists.then_some(Instant::NEVER),
    };
    get(call)?;
    if let Some(at) = at {
        call.service.store.expire(key, at, now);
    }
    Ok(())
}

pub(crate) fn mset(call: &mut Call<'_>) -> Done {
    set_pairs(call, "mset")?;
    call.ok()
}

pub(crate) fn msetnx(call: &mut Call<'_>) -> Done {
    let mut keys = call.words.from(1).step_by(2);
    let known = keys.any(|key| call.service.store.get(key, call.now).is_some());
    if !known || call.words.len().is_multiple_of(2) {
        set_pairs(call, "msetnx")?;
    }
    call.reply.count(usize::from(!known));
    Ok(())
}

/// All or none of them.
fn set_pairs(call: &mut Call<'_>, name: &'static str) -> Done {
    let words = call.words;
    if words.len().is_multiple_of(2) {
        return Err(Refusal::Arguments(name, None));
    }
    let pairs = words.from(1).step_by(2).zip(words.from(2).step_by(2));
    let store = &mut call.service.store;
    store.check(pairs.clone(), call.now)?;
    for (key, value) in pairs {
        store.set(key, value, Instant::NEVER, call.now)?;
    }
    Ok(())
}

pub(crate) fn append(call: &mut Call<'_>) -> Done {
    let (key, more, now) = (call.words.at(1), call.words.at(2), call.now);
    let known = call.service.store.get(key, now);
    let expires = known.map_or(Instant::NEVER, |item| item.expires);
    let mut value: Vec<u8, VALUE> = known.map(|item| item.value.clone()).unwrap_or_default();
    let whole = value.len().saturating_add(more.len());
    value
        .extend_from_slice(more)
        .map_err(|_| StoreError::Value(whole))?;
    call.service.store.set(key, &value, expires, now)?;
    call.reply.count(whole);
    Ok(())
}

pub(crate) fn incr(call: &mut Call<'_>) -> Done {
    add(call, 1)
}

pub(crate) fn decr(call: &mut Call<'_>) -> Done {
    add(call, -1)
}

pub(crate) fn incrby(call: &mut Call<'_>) -> Done {
    let by = integer(call.words.at(2)).ok_or(Refusal::NUMBER)?;
    add(call, by)
}

pub(crate) fn decrby(call: &mut Call<'_>) -> Done {
    let by = integer(call.words.at(2)).ok_or(Refusal::NUMBER)?;
    let less = by.checked_neg();
    add(
        call,
        less.ok_or(Refusal::Plain("ERR decrement would overflow"))?,
    )
}

fn add(call: &mut Call<'_>, by: i64) -> Done {
    const OVERFLOW: Refusal = Refusal::Plain("ERR increment or decrement would overflow");
    let (key, now) = (call.words.at(1), call.now);
    let (number, expires) = match call.service.store.get(key, now) {
        Some(item) => (integer(&item.value).ok_or(Refusal::NUMBER)?, item.expires),
        None => (0, Instant::NEVER),
    };
    let number = number.checked_add(by).ok_or(OVERFLOW)?;
    let text = decimal(number);
    (call.service.store).set(key, text.as_bytes(), expires, now)?;
    call.reply.integer(number);
    Ok(())
}
