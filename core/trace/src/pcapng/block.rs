//! Blocks of pcapng and their options, as bytes. They are appended to the buffer of a batch, so that writing a packet
//! takes no memory of its own.
//!
//! Why not the crate `pcap-file`: 2.0 cannot write custom blocks; 3.0.0-rc.3 can, but needs a newer compiler than
//! tracer does, and wants each packet's options as a list of owned strings. What is written here is read back in the
//! tests by the crate `pcap-parser`, by capinfos and by tshark.
//!
//! Sources: draft-ietf-opsawg-pcapng, and Wireshark's `wiretap/pcapng.c` for what it refuses.

use std::fmt;

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
pub(super) const INTERFACE_STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;
/// A custom block that may be copied to another file.
pub(super) const CUSTOM: u32 = 0x0000_0bad;

pub(super) const COMMENT: u16 = 1;
/// A custom option with a text that may be copied to another file.
pub(super) const CUSTOM_TEXT: u16 = 2988;

/// The private enterprise number of tracer's custom blocks and options. It has none yet: this one is reserved by IANA
/// for examples (RFC 5612), so it is nobody's, and a reader must look at the contents too: a block's begin with
/// [`MAGIC`], an option's are JSON with a `type`.
pub(super) const PEN: u32 = 32473;
/// What a custom block of tracer's begins with, behind the number. Then come the length of the JSON, in bytes, as a
/// 32-bit number, and the JSON.
const MAGIC: [u8; 8] = *b"tracer 1";

/// The most bytes of an option: its length is a 16-bit number.
const OPTION_MAX: usize = 0xffff;
/// The most bytes of JSON in an option.
pub(super) const JSON_MAX: usize = OPTION_MAX - 4;
/// The most bytes of JSON about a session.
pub(super) const SESSION_MAX: usize = 4 * JSON_MAX;
/// The most bytes of a text. Less than an option may have, so that a packet's options are 128 KiB together: that is
/// what Wireshark has room for besides the packet, and it refuses the whole file for a block that is longer.
const TEXT_MAX: usize = 0xf000;
/// The most bytes of a packet: Wireshark refuses the whole file for one that has more.
pub(super) const PACKET_MAX: usize = 1 << 18;

/// A block in the making, at the end of a buffer.
pub(super) struct Block<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    has_options: bool,
}

impl<'a> Block<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, kind: u32) -> Block<'a> {
        let start = out.len();
        out.extend(kind.to_le_bytes());
        // The length, once it is known.
        out.extend([0; 4]);
        Block { out, start, has_options: false }
    }

    /// Adds to the block's fixed part, which as a whole needs no padding.
    pub(super) fn fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        self.out.extend(bytes);
    }

    /// Adds bytes, to which others may be added.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Ends what [`Block::bytes`] added.
    pub(super) fn pad(&mut self) {
        // Whatever is in the buffer is whole blocks and an aligned start of this one.
        let padding = self.out.len().wrapping_neg() % 4;
        self.out.extend_from_slice(&[0; 3][..padding]);
    }

    /// Adds an option of a fixed size.
    pub(super) fn option<const N: usize>(&mut self, code: u16, value: [u8; N]) {
        const { assert!(N <= OPTION_MAX) };
        self.option_start(code, N as u16);
        self.out.extend(value);
        self.pad();
    }

    /// Adds a text, cut with an `…` where it is longer than it may be. Says whether it was cut.
    pub(super) fn text(&mut self, code: u16, text: impl fmt::Display) -> bool {
        self.text_by(code, |out| write!(out, "{text}"))
    }

    /// The same for a text that is not there yet; newlines at its end are left out.
    pub(super) fn text_by(
        &mut self,
        code: u16,
        write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result,
    ) -> bool {
        self.option_start(code, 0);
        let start = self.out.len();
        let mut capped = Capped { out: self.out, end: start + TEXT_MAX };
        // The only error is that there is no more room.
        let cut = write(&mut capped).is_err();
        if cut {
            capped.mark();
        }
        while self.out.len() > start && self.out.last() == Some(&b'\n') {
            self.out.pop();
        }
        let len = (self.out.len() - start) as u16;
        self.out[start - 2..start].copy_from_slice(&len.to_le_bytes());
        self.pad();
        cut
    }

    /// Adds JSON as a custom option; one that is longer than `most` is replaced by a comment. Says whether it was.
    /// More than [`JSON_MAX`] bytes become several options, to be joined by whoever reads them.
    pub(super) fn json(&mut self, json: &str, most: usize) -> bool {
        if json.len() > most {
            return self.left_out(json, most);
        }
        let mut rest = json;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(fitting(rest, JSON_MAX));
            self.option_start(CUSTOM_TEXT, (piece.len() + 4) as u16);
            self.out.extend(PEN.to_le_bytes());
            self.out.extend_from_slice(piece.as_bytes());
            self.pad();
            rest = behind;
        }
        false
    }

    /// Adds what a custom block has of JSON, with the same choice.
    pub(super) fn custom(&mut self, json: &str, most: usize) -> bool {
        let fits = json.len() <= most;
        let shown = if fits { json } else { "" };
        self.fixed(PEN.to_le_bytes());
        self.fixed(MAGIC);
        self.fixed((shown.len() as u32).to_le_bytes());
        self.bytes(shown.as_bytes());
        self.pad();
        !fits && self.left_out(json, most)
    }

    fn left_out(&mut self, json: &str, most: usize) -> bool {
        let len = json.len();
        let why = format_args!("it has {len} bytes, and there is room for {most} here");
        self.text(COMMENT, format_args!("tracer: the JSON was left out: {why}"));
        true
    }

    fn option_start(&mut self, code: u16, len: u16) {
        self.has_options = true;
        self.out.extend(code.to_le_bytes());
        self.out.extend(len.to_le_bytes());
    }

    /// Writes the end of the options, if there are any, and the length to both ends.
    pub(super) fn finish(self) {
        if self.has_options {
            self.out.extend([0; 4]);
        }
        // Every variable part has a bound above, and their sum is far below 4 GiB.
        let len = ((self.out.len() - self.start + 4) as u32).to_le_bytes();
        self.out[self.start + 4..self.start + 8].copy_from_slice(&len);
        self.out.extend(len);
    }
}

/// Takes text up to a place in the buffer.
struct Capped<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Capped<'_> {
    const MARK: &'static str = "…";

    /// Shows that there was more, in place of the last characters.
    fn mark(&mut self) {
        let mut at = self.out.len().min(self.end - Self::MARK.len());
        while self.out.get(at).is_some_and(|byte| !is_char_start(*byte)) {
            at -= 1;
        }
        self.out.truncate(at);
        self.out.extend_from_slice(Self::MARK.as_bytes());
    }
}

impl fmt::Write for Capped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.end - self.out.len();
        if text.len() <= room {
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        self.out.extend_from_slice(&text.as_bytes()[..fitting(text, room)]);
        Err(fmt::Error)
    }

    /// Escaped names come character by character.
    fn write_char(&mut self, c: char) -> fmt::Result {
        if c.is_ascii() && self.out.len() < self.end {
            self.out.push(c as u8);
            return Ok(());
        }
        self.write_str(c.encode_utf8(&mut [0; 4]))
    }
}

/// How many bytes of a text are the most whole characters within `most`.
pub(super) fn fitting(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Whether a byte of UTF-8 text begins a character.
fn is_char_start(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option's value in a block that has only a text, and whether it was cut.
    fn text(text: &str) -> (String, bool) {
        let mut out = Vec::new();
        let mut block = Block::new(&mut out, ENHANCED_PACKET);
        let cut = block.text(COMMENT, text);
        block.finish();
        assert_eq!(out.len() % 4, 0);
        let len = u32::try_from(out.len()).unwrap().to_le_bytes();
        assert_eq!((&out[4..8], &out[out.len() - 4..]), (&len[..], &len[..]));
        let len = usize::from(u16::from_le_bytes([out[10], out[11]]));
        assert_eq!(out.len(), 8 + 4 + len.next_multiple_of(4) + 4 + 4);
        (String::from_utf8(out[12..12 + len].to_vec()).unwrap(), cut)
    }

    #[test]
    fn texts_lose_their_last_newlines() {
        assert_eq!(text(""), (String::new(), false));
        assert_eq!(text("a\nb\n\n"), ("a\nb".into(), false));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let most = "x".repeat(TEXT_MAX);
        assert_eq!(text(&most), (most.clone(), false));
        let cut = |room: usize| (format!("{}…", "x".repeat(room)), true);
        assert_eq!(text(&format!("{most}x")), cut(TEXT_MAX - 3));
        for room in TEXT_MAX - 7..=TEXT_MAX {
            let crab = if room == TEXT_MAX - 7 { "🦀" } else { "" };
            let expected = format!("{}{crab}…", "x".repeat(room.min(TEXT_MAX - 3)));
            assert_eq!(text(&format!("{}🦀🦀🦀", "x".repeat(room))), (expected, true), "{room}");
        }
    }

    #[test]
    fn json_is_whole_or_not_there() {
        let json = |len: usize, most: usize| {
            let mut out = Vec::new();
            let mut block = Block::new(&mut out, ENHANCED_PACKET);
            let left_out = block.json(&"ö".repeat(len / 2), most);
            block.finish();
            (left_out, out)
        };
        let (left_out, out) = json(JSON_MAX - 1, JSON_MAX);
        assert!(!left_out);
        assert_eq!(out[8..16], [0xac, 0x0b, 0xfe, 0xff, 0xd9, 0x7e, 0, 0]);
        let (left_out, out) = json(JSON_MAX + 1, JSON_MAX);
        assert!(left_out);
        assert_eq!((&out[8..10], &out[12..20]), (&[1, 0][..], &b"tracer: "[..]));
        let (left_out, out) = json(2 * JSON_MAX, 2 * JSON_MAX);
        assert!(!left_out);
        let second = 8 + 4 + 0xfffe_usize.next_multiple_of(4);
        assert_eq!(out[second..second + 4], [0xac, 0x0b, 0xfe, 0xff]);
        assert_eq!(
            out[second + 0x1_0004..][..4],
            [0xac, 0x0b, 6, 0],
            "one character more than fits into two"
        );
        assert_eq!(json(0, JSON_MAX).1.len(), 12, "no option, no end of options");
    }
}
