//! [`Token`]: the name of one incarnation of a slot.

use core::fmt;

/// Set in the index of a slot of the second, small table: listeners, watched descriptors and datagram sockets, which
/// never take a connection's slot.
pub(crate) const LISTENER_BIT: u32 = 1 << 31;

/// Names a particular incarnation of a slot: its index and its generation, in the 64-bit word that `epoll` carries back.
///
/// A generation rises each time its slot is freed, so a stale token equals no live one: an event with it is dropped and
/// counted. A slot whose 32-bit generation would wrap is retired instead, so no value repeats.
///
/// Tokens never leave the process; they are not secrets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The word to hand to the kernel: generation in the upper half, index in the lower.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        ((self.generation as u64) << 32) | self.index as u64
    }

    /// The token in a word that the kernel handed back. Any word is legal: one that names nothing live changes nothing.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the word are what is wanted"
    )]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }

    /// The index in its table: `0..N` for a connection, `0..SOURCES` for a listener, a watched
    /// descriptor or a datagram socket.
    ///
    /// Two live connections never share one, so a driver may keep its descriptors in an array by it.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index & !LISTENER_BIT
    }

    /// How often the slot had been freed, plus one.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// Whether this names a listener, a watched descriptor or a datagram socket rather than a connection.
    #[must_use]
    pub const fn is_listener(self) -> bool {
        self.index & LISTENER_BIT != 0
    }

    /// The name of no source, in the flight recorder and in a trace.
    pub const NONE: Self = Self::new(u32::MAX, 0);

    /// The name of a free timer, there: no source has the generation 0.
    pub(crate) const fn free_timer(number: u32) -> Self {
        Self::new(number & !LISTENER_BIT, 0)
    }

    /// The index with the bit that selects the table.
    pub(crate) const fn slot(self) -> u32 {
        self.index
    }
}

impl fmt::Display for Token {
    /// `#3` is the connection in slot 3 for the first time, `#3.2` for the second; `listener 0`; `-` is [`Token::NONE`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, generation) = (self.index(), self.generation);
        let kind = match (self.is_listener(), generation) {
            (true, 0) => return f.write_str("-"),
            (false, 0) => "timer ",
            (true, _) => "listener ",
            (false, _) => "#",
        };
        write!(f, "{kind}{index}")?;
        match generation {
            0 | 1 => Ok(()),
            _ => write!(f, ".{generation}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_kernel_word() {
        for index in [0, 1, 77, LISTENER_BIT, LISTENER_BIT | 3, u32::MAX] {
            for generation in [0, 1, 5, u32::MAX] {
                let token = Token::new(index, generation);
                assert_eq!(Token::from_bits(token.to_bits()), token);
                assert_eq!(token.generation(), generation);
            }
        }
    }

    #[test]
    fn one_bit_distinguishes_listeners_from_connections() {
        assert!(!Token::new(3, 1).is_listener());
        let listener = Token::new(LISTENER_BIT | 3, 1);
        assert!(listener.is_listener());
        assert_eq!(listener.index(), 3);
    }
}
