//! A plugin's section, declared once, as a struct of Rust's: its fields' places and kinds, and how they are written.

use crate::c;

/// What a plugin adds to events. [`section!`](crate::section!) implements it.
pub trait SectionData {
    /// The declaration; `None` of [`NoSection`](crate::NoSection) only.
    const SECTION: Option<&'static c::Section>;

    /// Writes all fields.
    fn put(&self, out: &mut Out<'_>);
}

/// A type that a section's field can have: integers, `[u8; N]`, `String` (a text of any length), and `bool`, which is a number.
pub trait FieldType {
    /// `KIND_...`
    const KIND: u32;
    /// Bytes in the struct.
    const SIZE: u32;

    /// Writes it.
    fn put(&self, out: &mut Out<'_>, offset: usize);
}

/// Where a section is written to.
#[derive(Debug)]
pub struct Out<'a> {
    section: &'a mut [u8],
    texts: &'a mut [u8],
    used: usize,
}

impl<'a> Out<'a> {
    pub(crate) fn new(section: &'a mut [u8], texts: &'a mut [u8]) -> Out<'a> {
        Out { section, texts, used: 0 }
    }

    /// Bytes of texts so far.
    pub(crate) fn used(&self) -> u32 {
        u32::try_from(self.used).unwrap_or(u32::MAX)
    }

    fn bytes(&mut self, offset: usize, bytes: &[u8]) {
        // The declaration that tracer made room by has been computed from the same types.
        if let Some(room) = self.section.get_mut(offset..offset + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }

    /// Adds a text, or as much of it as there is room for. Returns the field's value.
    fn text(&mut self, text: &str) -> u32 {
        let start = self.section.len() + self.used;
        let room = (self.texts.len() - self.used).min(usize::from(u16::MAX));
        let len = (0..=room.min(text.len())).rev().find(|len| text.is_char_boundary(*len)).unwrap_or(0);
        self.texts[self.used..self.used + len].copy_from_slice(&text.as_bytes()[..len]);
        self.used += len;
        // Both are below 65536: the room is 4096 + 32768 bytes at most.
        (len << 16 | start) as u32
    }
}

macro_rules! integers {
    ($($ty:ty: $kind:ident,)*) => {
        $(impl FieldType for $ty {
            const KIND: u32 = c::$kind;
            const SIZE: u32 = size_of::<$ty>() as u32;

            fn put(&self, out: &mut Out<'_>, offset: usize) {
                out.bytes(offset, &self.to_le_bytes());
            }
        })*
    };
}

integers! {
    u8: KIND_UINT,
    u16: KIND_UINT,
    u32: KIND_UINT,
    u64: KIND_UINT,
    i8: KIND_INT,
    i16: KIND_INT,
    i32: KIND_INT,
    i64: KIND_INT,
}

impl FieldType for bool {
    const KIND: u32 = c::KIND_UINT;
    const SIZE: u32 = 1;

    fn put(&self, out: &mut Out<'_>, offset: usize) {
        u8::from(*self).put(out, offset);
    }
}

impl<const N: usize> FieldType for [u8; N] {
    const KIND: u32 = c::KIND_BYTES;
    const SIZE: u32 = N as u32;

    fn put(&self, out: &mut Out<'_>, offset: usize) {
        out.bytes(offset, self);
    }
}

impl FieldType for String {
    const KIND: u32 = c::KIND_TEXT;
    const SIZE: u32 = 4;

    fn put(&self, out: &mut Out<'_>, offset: usize) {
        let text = out.text(self);
        text.put(out, offset);
    }
}

/// The place of field `index` behind fields of these sizes; behind all of them, their size. Numbers are aligned as C does it.
pub const fn offset(sizes: &[u32], index: usize) -> u32 {
    let (mut at, mut i) = (0u32, 0);
    while i <= index {
        let align = if i == sizes.len() { 8 } else { sizes[i] };
        if matches!(align, 2 | 4 | 8) {
            at = at.next_multiple_of(align);
        }
        if i == index {
            return at;
        }
        at += sizes[i];
        i += 1;
    }
    at
}

/// Declares what a plugin adds to events, as a struct: `struct TYPE in "SECTION" { FIELD: TYPE, ... }`.
///
/// Fields are integers, `bool`, `[u8; N]`, and `String`, a text of any length; `texts N` in front of the fields is how many bytes all texts
/// of an event may take. How a field is shown may stand behind its type, as `= "hex"`: one of those that
/// [`c::Field`] lists.
///
/// ```
/// tracer_plugin_abi::section! {
///     /// Who waits for the packet.
///     pub struct Waiter in "waiter", texts 256 {
///         address: u32 = "ipv4",
///         name: String,
///     }
/// }
/// ```
#[macro_export]
macro_rules! section {
    (
        $(#[$attribute:meta])*
        $visible:vis struct $type:ident in $name:literal $(, texts $texts:literal)? {
            $($(#[$of_field:meta])* $field:ident: $kind:ty $(= $show:literal)?),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        $visible struct $type {
            $($(#[$of_field])* pub $field: $kind),*
        }

        impl $crate::SectionData for $type {
            const SECTION: Option<&'static $crate::c::Section> = {
                const SIZES: &[u32] = &[$(<$kind as $crate::FieldType>::SIZE),*];
                const NAMES: &[&str] = &[$(stringify!($field)),*];
                const SHOWS: &[&str] = &[$(concat!("", $($show)?)),*];
                const KINDS: &[u32] = &[$(<$kind as $crate::FieldType>::KIND),*];
                const COUNT: usize = SIZES.len();
                static FIELDS: [$crate::c::Field; COUNT] = {
                    let mut fields = [$crate::c::Field::NONE; COUNT];
                    let mut i = 0;
                    while i < COUNT {
                        fields[i] = $crate::c::Field {
                            name: $crate::c::Text::new(NAMES[i]),
                            show: $crate::c::Text::new(SHOWS[i]),
                            kind: KINDS[i],
                            offset: $crate::offset(SIZES, i),
                            size: SIZES[i],
                            ..$crate::c::Field::NONE
                        };
                        i += 1;
                    }
                    fields
                };
                static SECTION: $crate::c::Section = $crate::c::Section {
                    struct_size: size_of::<$crate::c::Section>() as u32,
                    field_size: size_of::<$crate::c::Field>() as u32,
                    name: $crate::c::Text::new($name),
                    size: $crate::offset(SIZES, COUNT),
                    texts: 0 $(+ $texts)?,
                    fields: FIELDS.as_ptr(),
                    fields_len: COUNT as u64,
                };
                Some(&SECTION)
            };

            fn put(&self, out: &mut $crate::Out<'_>) {
                const SIZES: &[u32] = &[$(<$kind as $crate::FieldType>::SIZE),*];
                let mut places = (0..).map(|i| $crate::offset(SIZES, i) as usize);
                $($crate::FieldType::put(&self.$field, out, places.next().unwrap_or(0));)*
            }
        }
    };
}
