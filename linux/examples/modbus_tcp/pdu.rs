//! Requests and responses: functions, registers, exceptions; not their transport.
//!
//! Sections are those of the *MODBUS Application Protocol Specification* V1.1b3. (The crate `rmodbus` has neither function
//! 22, 23 nor 43, refuses 122 and 123 registers of function 16, and believes the lengths within a request.)

use heapless::Vec;

/// Bytes of the longest request or response without its head (section 4.1).
pub(crate) const PDU: usize = 253;

/// The most that one request can read (sections 6.1 to 6.17).
const READ_BITS: u16 = 2000;
const WRITE_BITS: u16 = 1968;
const READ_REGISTERS: u16 = 125;
const WRITE_REGISTERS: u16 = 123;
const WRITE_OF_BOTH: u16 = 121;

/// A response.
pub(crate) type Response = Vec<u8, PDU>;

/// Why a request is refused; it changed nothing (section 7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exception {
    /// A function that is not known here.
    Function = 1,
    /// A register that is not there.
    Address = 2,
    /// A number that is out of range, or lengths that do not agree.
    Value = 3,
}

/// How many coils, discrete inputs, input registers and holding registers there can be.
pub(crate) const COILS: usize = 2048;
pub(crate) const DISCRETE_INPUTS: usize = 2048;
pub(crate) const INPUT_REGISTERS: usize = 256;
pub(crate) const HOLDING_REGISTERS: usize = 1024;

/// So many of each are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) coils: usize,
    pub(crate) discrete_inputs: usize,
    pub(crate) input_registers: usize,
    pub(crate) holding_registers: usize,
}

/// The registers.
#[derive(Debug)]
pub(crate) struct Device {
    sizes: Sizes,
    coils: [bool; COILS],
    discrete_inputs: [bool; DISCRETE_INPUTS],
    pub(crate) input_registers: [u16; INPUT_REGISTERS],
    holding_registers: [u16; HOLDING_REGISTERS],
    objects: &'static [Object],
}

/// An object of the device identification: its number and its text (section 6.21).
pub(crate) type Object = (u8, &'static str);

/// The last basic object and the last regular one; those beyond are the device's own.
const BASIC: u8 = 0x02;
const REGULAR: u8 = 0x7f;

impl Device {
    /// All of it zero. `objects`: [`are_sound`].
    pub(crate) const fn new(sizes: Sizes, objects: &'static [Object]) -> Self {
        Self {
            sizes,
            coils: [false; COILS],
            discrete_inputs: [false; DISCRETE_INPUTS],
            input_registers: [0; INPUT_REGISTERS],
            holding_registers: [0; HOLDING_REGISTERS],
            objects,
        }
    }

    /// Executes a request, whole or not at all, and returns the response: data or an exception.
    pub(crate) fn respond(&mut self, request: &[u8]) -> Response {
        let (function, data) = request
            .split_first()
            .map_or((0, request), |(f, data)| (*f, data));
        let mut response = Response::new();
        push(&mut response, &[function]);
        if let Err(why) = self.carry_out(function, data, &mut response) {
            response.clear();
            push(&mut response, &[function | 0x80, why as u8]);
        }
        response
    }

    fn carry_out(
        &mut self,
        function: u8,
        data: &[u8],
        response: &mut Response,
    ) -> Result<(), Exception> {
        match (function, data) {
            (1, [a, b, c, d]) => read_bits(self.coils(), [*a, *b, *c, *d], response),
            (2, [a, b, c, d]) => {
                let all = &self.discrete_inputs[..self.sizes.discrete_inputs];
                read_bits(all, [*a, *b, *c, *d], response)
            }
            (3, [a, b, c, d]) => read_registers(self.holding(), [*a, *b, *c, *d], response),
            (4, [a, b, c, d]) => {
                let all = &self.input_registers[..self.sizes.input_registers];
                read_registers(all, [*a, *b, *c, *d], response)
            }
            (5, [a, b, on @ (0 | 0xff), 0]) => {
                part(self.coils(), [*a, *b], 1)?[0] = *on != 0;
                push(response, data);
                Ok(())
            }
            (6, [a, b, c, d]) => {
                part(self.holding(), [*a, *b], 1)?[0] = u16::from_be_bytes([*c, *d]);
                push(response, data);
                Ok(())
            }
            (15, [a, b, c, d, bytes, values @ ..]) => {
                let count = count([*c, *d], WRITE_BITS)?;
                agrees(*bytes, values, count.div_ceil(8))?;
                let coils = part(self.coils(), [*a, *b], count)?;
                for (index, coil) in coils.iter_mut().enumerate() {
                    *coil = values[index / 8] >> (index % 8) & 1 == 1;
                }
                push(response, &data[..4]);
                Ok(())
            }
            (16, [a, b, c, d, bytes, values @ ..]) => {
                let count = count([*c, *d], WRITE_REGISTERS)?;
                agrees(*bytes, values, 2 * count)?;
                write_registers(part(self.holding(), [*a, *b], count)?, values);
                push(response, &data[..4]);
                Ok(())
            }
            // Section 6.16: bits of the first mask stay, those of the second are set where they do not.
            (22, [a, b, c, d, e, f]) => {
                let (and, or) = (u16::from_be_bytes([*c, *d]), u16::from_be_bytes([*e, *f]));
                let register = &mut part(self.holding(), [*a, *b], 1)?[0];
                *register = (*register & and) | (or & !and);
                push(response, data);
                Ok(())
            }
            (23, [a, b, c, d, e, f, g, h, bytes, values @ ..]) => {
                let read = count([*c, *d], READ_REGISTERS)?;
                let write = count([*g, *h], WRITE_OF_BOTH)?;
                agrees(*bytes, values, 2 * write)?;
                // Both, before anything is written; and what is written is read.
                part(self.holding(), [*a, *b], read)?;
                write_registers(part(self.holding(), [*e, *f], write)?, values);
                read_registers(self.holding(), [*a, *b, *c, *d], response)
            }
            (43, [14, code, object]) => self.identify(*code, *object, response),
            // Other things than an identification travel by this function, too.
            (43, [kind, ..]) if *kind != 14 => Err(Exception::Function),
            (1..=6 | 15 | 16 | 22 | 23 | 43, _) => Err(Exception::Value),
            _ => Err(Exception::Function),
        }
    }

    fn coils(&mut self) -> &mut [bool] {
        &mut self.coils[..self.sizes.coils]
    }

    fn holding(&mut self) -> &mut [u16] {
        &mut self.holding_registers[..self.sizes.holding_registers]
    }

    /// Device identification (section 6.21): all objects of a category from one on, as many as fit, and where to go on;
    /// or one.
    fn identify(&self, code: u8, object: u8, response: &mut Response) -> Result<(), Exception> {
        let last = match code {
            1 => BASIC,
            2 => REGULAR,
            3 => u8::MAX,
            4 => object,
            _ => return Err(Exception::Value),
        };
        let known = self.objects.iter().any(|(number, _)| *number == object);
        let first = match known && object <= last {
            true => object,
            false if code == 4 => return Err(Exception::Address),
            // "If the Object Id does not match any known object, the server responds as if object 0 were pointed out."
            false => 0,
        };
        // Objects of every category, and individual access.
        let conformity = 0x83;
        push(response, &[14, code, conformity, 0, 0, 0]);
        let wanted = self
            .objects
            .iter()
            .filter(|(number, _)| (first..=last).contains(number));
        for (number, text) in wanted {
            let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
            if response.len() + 2 + text.len() > PDU {
                (response[4], response[5]) = (0xff, *number); // more follows, from here
                break;
            }
            push(response, &[*number, length]);
            push(response, text.as_bytes());
            response[6] += 1;
        }
        Ok(())
    }
}

/// Whether objects are in order, and each fits into a response alone.
pub(crate) const fn are_sound(objects: &[Object]) -> bool {
    let mut rest = objects;
    while let [(number, text), after @ ..] = rest {
        let in_order = match after {
            [(next, _), ..] => *number < *next,
            [] => true,
        };
        if !in_order || text.len() > PDU - 9 {
            return false;
        }
        rest = after;
    }
    true
}

/// Appends bytes to a response, which has capacity for every request.
fn push(response: &mut Response, bytes: &[u8]) {
    let fits = response.extend_from_slice(bytes);
    debug_assert!(fits.is_ok());
}

/// A number from 1 to `most`.
fn count(number: [u8; 2], most: u16) -> Result<usize, Exception> {
    match u16::from_be_bytes(number) {
        number if (1..=most).contains(&number) => Ok(number.into()),
        _ => Err(Exception::Value),
    }
}

/// Whether the byte count of the request matches its length and its quantity.
fn agrees(said: u8, values: &[u8], bytes: usize) -> Result<(), Exception> {
    match usize::from(said) == bytes && values.len() == bytes {
        true => Ok(()),
        false => Err(Exception::Value),
    }
}

/// So many registers or bits from an address on.
fn part<T>(all: &mut [T], address: [u8; 2], count: usize) -> Result<&mut [T], Exception> {
    let first = usize::from(u16::from_be_bytes(address));
    let found = all.get_mut(first..first + count);
    found.ok_or(Exception::Address)
}

fn read_bits(all: &[bool], request: [u8; 4], response: &mut Response) -> Result<(), Exception> {
    let [a, b, c, d] = request;
    let count = count([c, d], READ_BITS)?;
    let first = usize::from(u16::from_be_bytes([a, b]));
    let bits = all.get(first..first + count);
    let bits = bits.ok_or(Exception::Address)?;
    push(response, &length(count.div_ceil(8)));
    for eight in bits.chunks(8) {
        let byte = eight
            .iter()
            .rev()
            .fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        push(response, &[byte]);
    }
    Ok(())
}

fn read_registers(all: &[u16], request: [u8; 4], response: &mut Response) -> Result<(), Exception> {
    let [a, b, c, d] = request;
    let count = count([c, d], READ_REGISTERS)?;
    let first = usize::from(u16::from_be_bytes([a, b]));
    let registers = all.get(first..first + count);
    let registers = registers.ok_or(Exception::Address)?;
    push(response, &length(2 * count));
    for register in registers {
        push(response, &register.to_be_bytes());
    }
    Ok(())
}

/// A length in front of what was read, which is at most 250.
fn length(bytes: usize) -> [u8; 1] {
    [u8::try_from(bytes).unwrap_or(u8::MAX)]
}

fn write_registers(registers: &mut [u16], values: &[u8]) {
    for (register, value) in registers.iter_mut().zip(values.chunks_exact(2)) {
        *register = u16::from_be_bytes([value[0], value[1]]);
    }
}

#[cfg(test)]
mod tests;
