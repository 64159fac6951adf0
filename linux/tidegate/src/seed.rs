//! [`seed`]: a number that peers cannot guess, also early at boot.

use rustix::io::Errno;
use rustix::process::getpid;
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};

/// A random number that is never 0.
///
/// Early at boot the system may have no entropy yet, for minutes on an appliance. Then it is what the kernel's generator has
/// by now (`GRND_INSECURE`, Linux 5.6); of an older kernel, a mix of the clocks, the process's number and the address of its
/// stack, which differ from start to start and from machine to machine.
pub(crate) fn seed() -> u64 {
    seed_of(|word, flags| getrandom(word, flags))
}

fn seed_of(mut random: impl FnMut(&mut [u8; 8], GetRandomFlags) -> Result<usize, Errno>) -> u64 {
    for flags in [GetRandomFlags::NONBLOCK, GetRandomFlags::INSECURE] {
        let mut word = [0; 8];
        if random(&mut word, flags) == Ok(8) {
            let word = u64::from_ne_bytes(word);
            if word != 0 {
                return word;
            }
        }
    }
    from_surroundings()
}

/// The rest of the machine, in a number that is not 0.
#[cold]
fn from_surroundings() -> u64 {
    let mut mixed = 0;
    for clock in [ClockId::Monotonic, ClockId::Realtime, ClockId::Boottime] {
        let now = clock_gettime(clock);
        mixed = mix(mixed ^ u64::try_from(now.tv_sec).unwrap_or(0));
        mixed = mix(mixed ^ u64::try_from(now.tv_nsec).unwrap_or(0));
    }
    mixed = mix(mixed ^ u64::from(getpid().as_raw_pid().unsigned_abs()));
    // By the layout of the address space, which is random, too.
    mixed = mix(mixed ^ (&raw const mixed).addr() as u64);
    if mixed == 0 { u64::MAX } else { mixed }
}

/// Spreads every bit over all (splitmix64).
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Early at boot, on a kernel with or without this flag.
    fn early(insecure: Result<usize, Errno>) -> u64 {
        seed_of(|word, flags| match flags {
            GetRandomFlags::INSECURE => {
                *word = [9; 8];
                insecure
            }
            _ => Err(Errno::AGAIN),
        })
    }

    #[test]
    fn what_the_system_has_is_taken() {
        let taken = seed_of(|word, flags| {
            assert_eq!(flags, GetRandomFlags::NONBLOCK, "it has some at once");
            *word = [7; 8];
            Ok(8)
        });
        assert_eq!(taken, u64::from_ne_bytes([7; 8]));
        assert_ne!(seed(), seed());
    }

    #[test]
    fn early_at_boot_it_is_what_there_is() {
        assert_eq!(early(Ok(8)), u64::from_ne_bytes([9; 8]));
    }

    #[test]
    fn without_any_it_differs_all_the_same() {
        for nothing in [Err(Errno::INVAL), Err(Errno::NOSYS), Ok(3)] {
            let seeds: HashSet<u64> = (0..100).map(|_| early(nothing)).collect();
            assert_eq!(seeds.len(), 100, "each start has another");
            assert!(!seeds.contains(&0) && !seeds.contains(&1));
        }
        let zeros = || seed_of(|_, _| Ok(8));
        assert!(zeros() > 1 && zeros() != zeros(), "0 is no seed");
    }
}
