//! Where `enrich` writes: the section's struct and its texts, between two stretches of bytes that it must leave alone.

use std::slice;

use tracer_plugin_abi::c;

use crate::{DeclaredSection, Failure, session::size};

/// Bytes on each side that are compared.
const MARGIN: usize = 4096;
/// Bytes on each side that are compared after each call: what runs over the edge touches them.
const NEAR: usize = 64;
/// All of the margins are compared after so many calls, for what jumps over the near bytes.
const WHOLE: u32 = 64;

const ENRICH: &str = "enrich";

/// A cache line; begins are multiples of it, since plugins take the room for a struct of theirs.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

/// The room of one plugin. Its memory is never freed: a thread of the plugin's may still write to it.
pub(crate) struct Room {
    /// The margin in front, the struct, the texts, and the margin behind.
    bytes: *mut u8,
    size: u32,
    texts: u32,
    /// What the plugin is given.
    given: *mut c::Room,
    /// What both margins must be.
    pattern: Box<[u8]>,
    calls: u32,
    /// Offsets and names of those fields that say where a text is.
    places: Vec<(usize, String)>,
}

impl Room {
    pub(crate) fn new(section: &DeclaredSection) -> Room {
        let (size_, texts) = (section.size, section.texts);
        let pattern: Box<[u8]> = (0..MARGIN).map(pattern).collect();
        let len = MARGIN + size_ as usize + texts as usize + MARGIN;
        let bytes = vec![Line([0; 64]); len.div_ceil(64)].leak().as_mut_ptr().cast::<u8>();
        let given = c::Room {
            struct_size: size::<c::Room>(),
            section_len: size_,
            section: std::ptr::null_mut(),
            texts_len: texts,
            texts_used: 0,
        };
        let texts_of = section.fields.iter().filter(|field| field.kind == c::KIND_TEXT);
        let room = Room {
            bytes,
            size: size_,
            texts,
            given: Box::into_raw(Box::new(given)),
            pattern,
            calls: 0,
            places: texts_of.map(|field| (field.offset as usize, field.name.clone())).collect(),
        };
        // SAFETY: the memory was made with room for both margins.
        unsafe {
            bytes.copy_from_nonoverlapping(room.pattern.as_ptr(), MARGIN);
            bytes.add(MARGIN + room.inner()).copy_from_nonoverlapping(room.pattern.as_ptr(), MARGIN);
        }
        room
    }

    /// Bytes of the struct and of the room for texts.
    fn inner(&self) -> usize {
        self.size as usize + self.texts as usize
    }

    /// The room for the next call, zeroed.
    pub(crate) fn offer(&mut self) -> *mut c::Room {
        // SAFETY: the room lies behind the front margin, and `given` is ours; both live for good.
        unsafe {
            let section = self.bytes.add(MARGIN);
            section.write_bytes(0, self.inner());
            self.given.write(c::Room {
                struct_size: size::<c::Room>(),
                section_len: self.size,
                section,
                texts_len: self.texts,
                texts_used: 0,
            });
        }
        self.given
    }

    /// Compares what must not have changed: near bytes always, and all of them from time to time.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(WHOLE) {
            return self.check_all();
        }
        // SAFETY: both margins are inside the memory.
        let same = unsafe {
            let before = slice::from_raw_parts(self.bytes.add(MARGIN - NEAR), NEAR);
            let behind = slice::from_raw_parts(self.bytes.add(MARGIN + self.inner()), NEAR);
            before == &self.pattern[MARGIN - NEAR..] && behind == &self.pattern[..NEAR]
        };
        if same { Ok(()) } else { self.check_all() }
    }

    /// Compares all that must not have changed.
    pub(crate) fn check_all(&self) -> Result<(), Failure> {
        // SAFETY: both margins are inside the memory.
        let (before, behind) = unsafe {
            let before = slice::from_raw_parts(self.bytes, MARGIN);
            (before, slice::from_raw_parts(self.bytes.add(MARGIN + self.inner()), MARGIN))
        };
        if before == &*self.pattern && behind == &*self.pattern {
            return Ok(());
        }
        let changed = |margin: &[u8]| {
            let differs = |i: &usize| margin[*i] != self.pattern[*i];
            Some(((0..MARGIN).find(differs)?, (0..MARGIN).rfind(differs)?))
        };
        let room = format!("the room has {} bytes for the struct and {} for texts", self.size, self.texts);
        let what = match (changed(before), changed(behind)) {
            (Some((first, _)), _) => format!("up to byte {} in front of it; {room}", MARGIN - first),
            (None, Some((_, last))) => format!("up to byte {} behind it; {room}", last + 1),
            // It changed back while we looked: a thread of the plugin's is at work.
            (None, None) => format!("somewhere near it; {room}"),
        };
        Err(Failure::Overrun { function: ENRICH, what })
    }

    /// Copies what the plugin has written, and checks what it says of its texts.
    pub(crate) fn take(&self, out: &mut Vec<u8>) -> Result<(), Failure> {
        // SAFETY: `given` is ours; the plugin may have written to it, but it is integers and a pointer that is not used.
        let used = unsafe { (&raw const (*self.given).texts_used).read() };
        if used > self.texts {
            return Err(Failure::Sizes { function: ENRICH, used, room: self.texts });
        }
        let len = self.size as usize + used as usize;
        // SAFETY: so many bytes are in the room.
        out.extend_from_slice(unsafe { slice::from_raw_parts(self.bytes.add(MARGIN), len) });
        let (from, to) = (self.size, self.size + used);
        for (offset, field) in &self.places {
            let Some(place) = out.get(*offset..).and_then(<[u8]>::first_chunk) else { continue };
            let place = u32::from_le_bytes(*place);
            let (start, len) = (place & 0xffff, place >> 16);
            // An empty one may be anywhere that is in the section, as 0 is.
            if (len > 0 && start < from) || start + len > to {
                out.clear();
                return Err(Failure::Text { function: ENRICH, field: field.clone(), start, len, from, to });
            }
        }
        Ok(())
    }
}

/// Bytes that nothing writes by mistake: no zero, no ASCII, no 0xff, and none like its neighbours.
fn pattern(index: usize) -> u8 {
    0x81 + (index * 37 % 126) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeclaredField;

    /// What is taken of a room with one text, of which the plugin says this, and 8 bytes of texts.
    fn taken(start: u32, len: u32) -> Result<(), Failure> {
        let field = DeclaredField {
            name: "name".to_owned(),
            show: String::new(),
            kind: c::KIND_TEXT,
            offset: 0,
            size: 4,
            names: Vec::new(),
        };
        let section = DeclaredSection { name: "s".to_owned(), size: 4, texts: 16, fields: vec![field] };
        let mut room = Room::new(&section);
        let given = room.offer();
        // SAFETY: it is this room's, which has a struct of 4 bytes.
        unsafe {
            (*given).texts_used = 8;
            (*given).section.cast::<u32>().write(len << 16 | start);
        }
        room.take(&mut Vec::new())
    }

    #[test]
    fn texts_are_inside_of_what_is_used() {
        for (start, len) in [(0, 0), (4, 8), (4, 0), (12, 0), (11, 1)] {
            assert_eq!(taken(start, len), Ok(()), "{len} at {start}");
        }
        for (start, len) in [(13, 0), (0xffff, 0), (12, 1), (0, 1), (3, 2), (0xffff, 0xffff)] {
            let text =
                Failure::Text { function: ENRICH, field: "name".to_owned(), start, len, from: 4, to: 12 };
            assert_eq!(taken(start, len), Err(text));
        }
    }
}
