//! The limit of open files: one too low would be met by accepting, in the middle of the night.

use super::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are neither connections nor listeners: the standard streams and their copies, the event set, the
/// event counter and its copy, two ends of the signals' pipe, the service manager's, the one that a refused connection has
/// for a moment.
const OTHERS: u32 = 16;

/// Descriptors of each thread beyond the first: the event set, the event counter and its copy, the one that a refused
/// connection has for a moment.
const EACH: u32 = 4;

/// Makes sure that all of them can be open together; raises the soft limit for it. `listeners` are those of one thread.
pub(crate) fn reserve(connections: u32, listeners: u32, threads: u32) -> Result<(), Failure> {
    let (each, listeners) = ((threads - 1) * EACH, listeners * threads);
    let limit = getrlimit(Resource::Nofile);
    let needed = u64::from(connections) + u64::from(listeners) + u64::from(OTHERS + each);
    let Rlimit { current, maximum } = limit;
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum,
    };
    let possible = maximum.is_none_or(|maximum| maximum >= needed);
    if possible && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    let (soft, hard) = (shown(current), shown(maximum));
    let others = u64::from(listeners + OTHERS + each);
    let remedy = match maximum
        .or(current)
        .and_then(|most| most.checked_sub(others))
    {
        Some(fewer @ 1..) => format!(", or ask for at most {fewer} connections"),
        Some(0) | None => String::new(),
    };
    Err(Failure::System(format!(
        "--connections {connections} needs {needed} descriptors; the limit is {soft} (hard {hard}): raise it \
         (ulimit -Hn, LimitNOFILE=) to at least {needed}{remedy}"
    )))
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".into(), |limit| limit.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_cannot_be_met_is_reported_with_the_remedy() {
        // No system has so many: `fs.nr_open` is below 2³¹.
        let Some(hard) = getrlimit(Resource::Nofile).maximum else {
            return;
        };
        let Err(Failure::System(why)) = reserve(u32::MAX - 100, 1, 1) else {
            panic!("enough descriptors");
        };
        assert!(
            why.starts_with("--connections 4294967195 needs 4294967212 descriptors; the limit is"),
            "{why}"
        );
        assert!(
            why.ends_with(&format!("at most {} connections", hard - 17)),
            "{why}"
        );
        assert_eq!(reserve(1, 1, 4), Ok(()));
    }
}
