//! [`Fields`]: the field lines of a head, and how their values are read.

use super::head::MAX_FIELDS;
use httparse::{EMPTY_HEADER, Header};

/// Storage for the field lines of one head: references into it, 3.2 KB on a 64-bit machine.
#[derive(Debug)]
pub struct Fields<'d>(pub(super) [Header<'d>; MAX_FIELDS]);

impl Fields<'_> {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self([EMPTY_HEADER; MAX_FIELDS])
    }
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The values of every field line of this name, in order. Names are case-insensitive (RFC 9110, section 5.1).
pub(super) fn values<'d>(
    fields: &[Header<'d>],
    name: &str,
) -> impl Iterator<Item = &'d [u8]> + Clone {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| trim(field.value))
}

/// The elements of the list that all field lines of this name make together; empty ones mean nothing (RFC 9110, sections
/// 5.3 and 5.6.1).
pub(super) fn elements<'d>(
    fields: &[Header<'d>],
    name: &str,
) -> impl Iterator<Item = &'d [u8]> + Clone {
    values(fields, name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Without optional whitespace at both ends (RFC 9110, section 5.6.3).
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = value.iter().position(|byte| !is_space(byte));
    let to = value.iter().rposition(|byte| !is_space(byte));
    match (from, to) {
        (Some(from), Some(to)) => value.get(from..=to).unwrap_or(&[]),
        _ => &[],
    }
}

/// A number of digits only, as most fields have them; [`u64::MAX`] if it is larger. `None` if it is not one.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}
