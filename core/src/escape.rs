//! [`Escaped`]: bytes from peers, made harmless for terminals and logs.

use core::fmt;

/// Bytes from a peer, to be shown: printable ASCII as it is, everything else and the backslash as `\xNN`, cut after
/// [`SHOWN`](Self::SHOWN) bytes. No line, colour or command for a terminal gets through (CWE-117, CWE-150).
///
/// ```
/// use tidegate_core::Escaped;
/// assert_eq!(Escaped(b"hello\n\x1b[2J").to_string(), r"hello\x0a\x1b[2J");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Escaped<'_> {
    /// The most bytes that are shown.
    pub const SHOWN: usize = 64;
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0.iter().take(Self::SHOWN) {
            match byte {
                b'\\' => f.write_str(r"\x5c")?,
                b' '..=b'~' => fmt::Write::write_char(f, char::from(byte))?,
                _ => write!(f, r"\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const SHOWN: usize = Escaped::SHOWN;

    #[test]
    fn each_byte_is_itself_or_hexadecimal() {
        for byte in 0..=u8::MAX {
            let shown = Escaped(&[byte]).to_string();
            if (0x20..=0x7e).contains(&byte) && byte != b'\\' {
                assert_eq!(shown.as_bytes(), [byte]);
            } else {
                assert_eq!(shown.len(), 4);
                let hex = shown.strip_prefix(r"\x").expect("an escape");
                assert_eq!(u8::from_str_radix(hex, 16), Ok(byte));
            }
            assert!(shown.bytes().all(|b| (0x20..=0x7e).contains(&b)));
        }
    }

    #[test]
    fn it_is_cut() {
        assert_eq!(Escaped(b"").to_string(), "");
        assert_eq!(Escaped(&[b'a'; SHOWN]).to_string(), "a".repeat(SHOWN));
        assert_eq!(Escaped(&[b'a'; SHOWN + 1]).to_string(), "a".repeat(SHOWN));
        assert_eq!(Escaped(&[0xff; 4096]).to_string(), r"\xff".repeat(SHOWN));
    }
}
