//! The framings over a connection. That of COBS is a crate's: what it holds is its business, and the fuzz target's.

use tidegate_core::framing::{
    Decoder, Delimiter, FixedLength, FrameError, Framed, IdleGap, LengthPrefix, Lines, Progress,
};
use tidegate_core::{Conn, Instant};

type Found<'a> = (Option<&'a [u8]>, Option<Result<&'a [u8], FrameError>>);

#[unsafe(no_mangle)]
pub fn framing_lines<'a>(f: &mut Framed<Lines>, c: &mut Conn<'a>, p: &mut Progress) -> Found<'a> {
    (f.next(c, p), f.try_next(c, p))
}

#[unsafe(no_mangle)]
pub fn framing_delimiter<'a>(
    f: &mut Framed<Delimiter<'_>>,
    c: &mut Conn<'a>,
    p: &mut Progress,
) -> Found<'a> {
    (f.next(c, p), f.try_next(c, p))
}

#[unsafe(no_mangle)]
pub fn framing_length<'a>(
    f: &mut Framed<LengthPrefix>,
    c: &mut Conn<'a>,
    p: &mut Progress,
) -> Found<'a> {
    (f.next(c, p), f.try_next(c, p))
}

#[unsafe(no_mangle)]
pub fn framing_fixed<'a>(f: &mut Framed<FixedLength>, c: &mut Conn<'a>) -> Found<'a> {
    (f.next(c, &mut ()), f.try_next(c, &mut ()))
}

#[unsafe(no_mangle)]
pub fn framing_gap<'a>(
    f: &mut Framed<IdleGap>,
    c: &mut Conn<'a>,
    p: &mut Progress,
) -> (Found<'a>, Option<Instant>) {
    ((f.next(c, p), f.try_next(c, p)), f.framing().due(p))
}

#[unsafe(no_mangle)]
pub fn framing_send(
    lines: &Framed<Lines>,
    delimiter: &Framed<Delimiter<'_>>,
    length: &Framed<LengthPrefix>,
    fixed: &Framed<FixedLength>,
    gap: &Framed<IdleGap>,
    c: &mut Conn<'_>,
    message: &[u8],
) -> [Result<(), FrameError>; 5] {
    [
        lines.send(c, message),
        delimiter.send(c, message),
        length.send(c, message),
        fixed.send(c, message),
        gap.send(c, message),
    ]
}
