//! A field of a section: where it lies, what its bytes are, and how people want to see it. *Kind* and *show* are kept
//! apart because the first comes from the C type and the second from a decl tag: four bytes are a number to a filter
//! and an address to a reader.

use std::{fmt, str::FromStr};

/// One field of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// A C identifier, unique within its section.
    pub name: String,
    /// Bytes from the start of the section.
    pub offset: u32,
    /// What the bytes are.
    pub kind: Kind,
    /// How they are shown.
    pub show: Show,
}

/// What the bytes of a field are. Numbers are little-endian unless [`Show`] says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned number of 1, 2, 4 or 8 bytes.
    Uint(u8),
    /// A signed number of 1, 2, 4 or 8 bytes.
    Int(u8),
    /// That many bytes.
    Bytes(u32),
    /// A string in that many bytes, up to its first NUL or their end.
    Str(u32),
    /// A number with names.
    Enum {
        /// 1, 2, 4 or 8 bytes.
        width: u8,
        /// Whether the number is sign-extended.
        signed: bool,
        /// The enumerators; of several with one value the first counts. Values of unsigned 64-bit enums beyond
        /// `i64::MAX` cannot be named.
        names: Vec<(i64, String)>,
    },
    /// A string in the section's final array, as a 32-bit number: its place in the section, in bytes, in the lower half,
    /// its length in the upper half. So a short name takes few bytes, and a long one fits.
    Text,
    /// The final byte array of a tail section; the record carries its length.
    Tail,
}

impl Kind {
    /// The bytes that the field takes in the section's fixed struct; `None` for [`Kind::Tail`].
    pub fn size(&self) -> Option<u32> {
        match *self {
            Kind::Uint(width) | Kind::Int(width) | Kind::Enum { width, .. } => Some(u32::from(width)),
            Kind::Bytes(len) | Kind::Str(len) => Some(len),
            Kind::Text => Some(4),
            Kind::Tail => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Uint(width) => write!(f, "unsigned number of {width} bytes"),
            Kind::Int(width) => write!(f, "signed number of {width} bytes"),
            Kind::Bytes(len) => write!(f, "{len} bytes"),
            Kind::Str(len) => write!(f, "string of {len} bytes"),
            Kind::Enum { width, .. } => write!(f, "enum of {width} bytes"),
            Kind::Text => f.write_str("string in the tail array"),
            Kind::Tail => f.write_str("tail array"),
        }
    }
}

/// How a field is shown. The spellings of [`FromStr`] are those of the decl tags on a fragment's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Show {
    /// By its kind: decimal, text, enumerator, hex digits for bytes.
    #[default]
    Plain,
    /// `0x2a`; bytes as hex digits.
    Hex,
    /// A 16-bit number in network byte order, decimal.
    Be16,
    /// A 32-bit number in network byte order, decimal.
    Be32,
    /// An IPv4 address: 4 bytes, or a 32-bit number in network byte order.
    Ipv4,
    /// An IPv6 address: 16 bytes.
    Ipv6,
    /// An Ethernet address: 6 bytes.
    Mac,
    /// Packet data, decoded by [`crate::packet`]. Siblings say what it is: `link` (pcap LINKTYPE), `protocol` (EtherType,
    /// `be16`) and `orig_len` (bytes the packet had from the start of the data).
    Packet,
    /// A network namespace's inode number. Unset where it is the tracer's own.
    Netns,
    /// The final array that [`Kind::Text`] fields refer to; nothing by itself.
    Strings,
    /// The name of the network device that the packet was at; shown as text. pcapng has an interface for each.
    Device,
    /// A number that all events of one packet have in common, as `#2a`; unset (0) where nothing follows the packet.
    PacketId,
}

impl Show {
    const ALL: [Show; 12] = [
        Show::Plain,
        Show::Hex,
        Show::Be16,
        Show::Be32,
        Show::Ipv4,
        Show::Ipv6,
        Show::Mac,
        Show::Packet,
        Show::Netns,
        Show::Strings,
        Show::Device,
        Show::PacketId,
    ];

    /// Whether a field of this kind can be shown this way.
    pub fn fits(self, kind: &Kind) -> bool {
        match self {
            Show::Plain => true,
            Show::Hex => !matches!(kind, Kind::Str(_) | Kind::Text | Kind::Enum { .. }),
            Show::Be16 => *kind == Kind::Uint(2),
            Show::Be32 => *kind == Kind::Uint(4),
            Show::Ipv4 => matches!(kind, Kind::Uint(4) | Kind::Bytes(4)),
            Show::Ipv6 => *kind == Kind::Bytes(16),
            Show::Mac => *kind == Kind::Bytes(6),
            Show::Packet => matches!(kind, Kind::Tail | Kind::Bytes(_)),
            Show::Netns => matches!(kind, Kind::Uint(4 | 8)),
            Show::Strings => *kind == Kind::Tail,
            Show::Device => matches!(kind, Kind::Str(_) | Kind::Text),
            Show::PacketId => *kind == Kind::Uint(8),
        }
    }

    /// Whether the bytes of a number are in network order.
    pub fn is_big_endian(self) -> bool {
        matches!(self, Show::Be16 | Show::Be32 | Show::Ipv4)
    }

    fn spelling(self) -> &'static str {
        match self {
            Show::Plain => "plain",
            Show::Hex => "hex",
            Show::Be16 => "be16",
            Show::Be32 => "be32",
            Show::Ipv4 => "ipv4",
            Show::Ipv6 => "ipv6",
            Show::Mac => "mac",
            Show::Packet => "packet",
            Show::Netns => "netns",
            Show::Strings => "strings",
            Show::Device => "device",
            Show::PacketId => "packet-id",
        }
    }
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spelling())
    }
}

impl FromStr for Show {
    type Err = UnknownShow;

    fn from_str(spelling: &str) -> Result<Show, UnknownShow> {
        let found = Show::ALL.into_iter().find(|show| show.spelling() == spelling);
        found.ok_or_else(|| UnknownShow(spelling.to_owned()))
    }
}

/// A presentation that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no way to show a field is called '{0}'")]
pub struct UnknownShow(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_read_back() {
        for show in Show::ALL {
            assert_eq!(show.to_string().parse(), Ok(show));
        }
        assert_eq!("ipv5".parse::<Show>(), Err(UnknownShow("ipv5".into())));
    }

    #[test]
    fn shows_fit_their_kinds_only() {
        assert!(Show::Mac.fits(&Kind::Bytes(6)));
        assert!(!Show::Mac.fits(&Kind::Bytes(8)));
        assert!(Show::Be16.fits(&Kind::Uint(2)));
        assert!(!Show::Be16.fits(&Kind::Uint(4)));
        assert!(Show::Packet.fits(&Kind::Tail));
        assert!(!Show::Packet.fits(&Kind::Str(8)));
        assert!(!Show::Hex.fits(&Kind::Str(8)));
        assert!(Show::PacketId.fits(&Kind::Uint(8)));
        assert!(!Show::PacketId.fits(&Kind::Uint(4)));
    }
}
