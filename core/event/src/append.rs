//! Numbers and bytes appended to a text. The formatting machinery of the standard library takes some 30 ns for each
//! number, an event has about fifty of them, and a busy tracer has a microsecond for an event.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `42`
#[inline]
pub(crate) fn decimal(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// `0x2a`
pub(crate) fn hex(out: &mut String, number: u64) {
    out.push_str("0x");
    bare_hex(out, number);
}

/// `2a`
pub(crate) fn bare_hex(out: &mut String, number: u64) {
    hex_digits(out, number, 16 - (number | 1).leading_zeros() as usize / 4);
}

/// The last `digits` of the number's 16 hex digits.
pub(crate) fn hex_digits(out: &mut String, number: u64, digits: usize) {
    let mut all = [0; 16];
    for (pair, byte) in all.as_chunks_mut::<2>().0.iter_mut().zip(number.to_be_bytes()) {
        *pair = byte_digits(byte);
    }
    ascii(out, &all[16 - digits.min(16)..]);
}

/// `02ab`
pub(crate) fn hex_bytes(out: &mut String, bytes: &[u8]) {
    out.reserve(2 * bytes.len());
    for chunk in bytes.chunks(32) {
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(chunk) {
            *pair = byte_digits(*byte);
        }
        ascii(out, &text[..2 * chunk.len()]);
    }
}

/// `172.16.42.1`
pub(crate) fn ipv4(out: &mut String, address: Ipv4Addr) {
    let [a, b, c, d] = address.octets();
    decimal(out, a);
    for octet in [b, c, d] {
        out.push('.');
        decimal(out, octet);
    }
}

/// `fd00::1`, in the form that RFC 5952 recommends.
pub(crate) fn ipv6(out: &mut String, address: Ipv6Addr) {
    // A string takes everything.
    let _ = write!(out, "{address}");
}

/// Appends what is known to be ASCII; anything else would be left out.
pub(crate) fn ascii(out: &mut String, text: &[u8]) {
    out.push_str(str::from_utf8(text).unwrap_or_default());
}

pub(crate) fn byte_digits(byte: u8) -> [u8; 2] {
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(append: impl FnOnce(&mut String)) -> String {
        let mut out = String::from("<");
        append(&mut out);
        out.split_off(1)
    }

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        let shifted = (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1, u64::MAX >> bit]);
        for number in shifted {
            assert_eq!(appended(|out| decimal(out, number)), number.to_string());
            assert_eq!(appended(|out| hex(out, number)), format!("{number:#x}"));
            assert_eq!(appended(|out| hex_digits(out, number, 16)), format!("{number:016x}"));
        }
        assert_eq!(appended(|out| decimal(out, i64::MIN)), i64::MIN.to_string());
        assert_eq!(appended(|out| hex_digits(out, 0x0806, 4)), "0806");
    }

    #[test]
    fn bytes_and_addresses() {
        let bytes: Vec<u8> = (0..100).collect();
        let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(appended(|out| hex_bytes(out, &bytes)), expected);
        assert_eq!(appended(|out| hex_bytes(out, &[])), "");
        for address in [[0, 0, 0, 0], [172, 16, 42, 1], [255, 255, 255, 255]].map(Ipv4Addr::from) {
            assert_eq!(appended(|out| ipv4(out, address)), address.to_string());
        }
        assert_eq!(appended(|out| ipv6(out, Ipv6Addr::LOCALHOST)), "::1");
    }
}
