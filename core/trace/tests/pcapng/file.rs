//! A capture file, read by the crate `pcap-parser`, and held against all that the format demands.

use pcap_parser::PcapNGOption;
use pcap_parser::pcapng::{Block as Parsed, parse_block_le};

/// An option's code and value.
pub type Options = Vec<(u16, Vec<u8>)>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Section {
        options: Options,
    },
    Interface {
        link: i32,
        options: Options,
    },
    Packet(Packet),
    Statistics {
        interface: u32,
        time: u64,
        options: Options,
    },
    /// Of tracer's, with its JSON.
    Custom {
        json: String,
        options: Options,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub interface: u32,
    pub time: u64,
    pub data: Vec<u8>,
    pub original: u32,
    pub options: Options,
}

impl Packet {
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        let mut values = values(&self.options, code);
        let value = values.next();
        assert_eq!(values.next(), None, "option {code} is there once");
        value
    }

    pub fn number(&self, code: u16) -> Option<u64> {
        self.option(code).map(number)
    }

    pub fn comments(&self) -> Vec<&str> {
        texts(&self.options, 1)
    }

    pub fn json(&self) -> String {
        json(&self.options)
    }
}

/// The JSON in the custom options.
pub fn json(options: &Options) -> String {
    let piece = |value: &[u8]| {
        let (pen, json) = value.split_at(4);
        assert_eq!(pen, 32473_u32.to_le_bytes());
        String::from_utf8(json.into()).unwrap()
    };
    values(options, 2988).map(piece).collect()
}

pub fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value.try_into().unwrap())
}

pub fn values(options: &Options, code: u16) -> impl Iterator<Item = &[u8]> {
    options.iter().filter(move |option| option.0 == code).map(|option| option.1.as_slice())
}

pub fn texts(options: &Options, code: u16) -> Vec<&str> {
    values(options, code).map(|value| std::str::from_utf8(value).unwrap()).collect()
}

/// All blocks. Each interface was described before its packets, in its section, with nanoseconds.
pub fn read(mut bytes: &[u8]) -> Vec<Block> {
    let (mut blocks, mut interfaces) = (Vec::new(), 0);
    while !bytes.is_empty() {
        let (rest, parsed) = parse_block_le(bytes).unwrap();
        let len = bytes.len() - rest.len();
        // Wireshark's bound (MIN_EPB_SIZE + WTAP_MAX_PACKET_SIZE_STANDARD + 131072), beyond which it refuses the file.
        assert!(len.is_multiple_of(4) && len <= 32 + (1 << 18) + (1 << 17), "a block of {len} bytes");
        bytes = rest;
        let block = block(parsed, len);
        match &block {
            Block::Section { .. } => interfaces = 0,
            _ if blocks.is_empty() => panic!("the first block is a section's header, not {block:?}"),
            Block::Interface { options, .. } => {
                interfaces += 1;
                assert_eq!(values(options, 9).collect::<Vec<_>>(), [[9]], "nanoseconds");
            }
            Block::Packet(Packet { interface, data, original, .. }) => {
                assert!(*interface < interfaces && data.len() <= *original as usize);
            }
            Block::Statistics { interface, .. } => assert!(*interface < interfaces),
            Block::Custom { .. } => {}
        }
        blocks.push(block);
    }
    blocks
}

/// The packets only.
pub fn packets(bytes: &[u8]) -> Vec<Packet> {
    let packet = |block| match block {
        Block::Packet(packet) => Some(packet),
        _ => None,
    };
    read(bytes).into_iter().filter_map(packet).collect()
}

fn block(parsed: Parsed<'_>, len: usize) -> Block {
    let time = |high, low| u64::from(high) << 32 | u64::from(low);
    match parsed {
        Parsed::SectionHeader(header) => {
            assert_eq!((header.major_version, header.minor_version, header.section_len), (1, 0, -1));
            assert!(!header.big_endian());
            Block::Section { options: options(&header.options, len - 28) }
        }
        Parsed::InterfaceDescription(interface) => {
            assert_eq!((interface.reserved, interface.snaplen), (0, 0));
            Block::Interface { link: interface.linktype.0, options: options(&interface.options, len - 20) }
        }
        Parsed::EnhancedPacket(packet) => Block::Packet(Packet {
            interface: packet.if_id,
            time: time(packet.ts_high, packet.ts_low),
            data: packet.data[..packet.caplen as usize].to_vec(),
            original: packet.origlen,
            options: options(&packet.options, len - 32 - packet.data.len()),
        }),
        Parsed::InterfaceStatistics(statistics) => Block::Statistics {
            interface: statistics.if_id,
            time: time(statistics.ts_high, statistics.ts_low),
            options: options(&statistics.options, len - 24),
        },
        Parsed::Custom(custom) => {
            assert_eq!((custom.block_type, custom.pen), (0xbad, 32473));
            let (magic, rest) = custom.data.split_at(8);
            assert_eq!(magic, b"tracer 1");
            let (json_len, rest) = rest.split_at(4);
            let json_len = u32::from_le_bytes(json_len.try_into().unwrap()) as usize;
            let json = String::from_utf8(rest[..json_len].to_vec()).unwrap();
            let mut left = &rest[json_len.next_multiple_of(4)..];
            let mut parsed = Vec::new();
            let room = left.len();
            while !left.is_empty() {
                let (rest, option) = pcap_parser::pcapng::parse_option_le::<()>(left).unwrap();
                parsed.push(option);
                left = rest;
            }
            Block::Custom { json, options: options(&parsed, room) }
        }
        other => panic!("a block that is never written: {other:?}"),
    }
}

/// The options without their end. They fill the room for them, and the values' padding is zero.
fn options(parsed: &[PcapNGOption<'_>], room: usize) -> Options {
    let lens = parsed.iter().map(|option| 4 + option.value.len());
    assert_eq!(lens.sum::<usize>(), room, "{parsed:?}");
    let mut options: Options = Vec::new();
    for option in parsed {
        let (value, padding) = option.value().split_at(usize::from(option.len));
        assert!(padding.iter().all(|byte| *byte == 0));
        options.push((option.code.0, value.to_vec()));
    }
    if let Some(end) = options.pop() {
        assert_eq!(end, (0, vec![]), "the end of the options is written");
    }
    assert!(options.iter().all(|option| option.0 != 0));
    options
}
