//! Bytes from peers, made harmless for terminals and logs.

use core::fmt;

/// The most bytes that are shown.
pub(crate) const SHOWN: usize = 64;

/// Shows the first [`SHOWN`] bytes: printable ASCII as it is, everything else and the backslash as `\xNN`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0.iter().take(SHOWN) {
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
