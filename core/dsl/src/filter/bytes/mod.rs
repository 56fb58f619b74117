//! Packet primitives as tests on bytes: what libpcap's programs do, as a tree. Back ends run it; none of them knows what
//! `port 80` means.
//!
//! The bytes are those of an Ethernet frame: 14 bytes of link header, more by 4 for each tag in it, then the network header.
//! Tests are asked from left to right and no further than needed, because one that reads beyond the data ends all: the
//! whole [`Test`] is false then, also where that test stands under [`Test::Not`].

mod lower;

pub(super) use lower::State;

use super::tree::{Operator, Order};

/// Bytes of a frame that a filter can look at: those behind them are beyond the data, however many were captured. A program
/// in the kernel has no room for more.
pub const FRAME_MAX: usize = 4096;

/// Headers behind that of IP that [`Test::Chain`] goes through, and how far behind its begin they may begin, in bytes. A chain
/// that goes on is as if it went beyond the data.
pub const CHAIN_MAX: usize = 8;
/// See [`CHAIN_MAX`].
pub const CHAIN_BYTES: usize = 512;

/// Headers of IPv6 that [`Test::Chain`] goes through: hop-by-hop options, destination options, routing, fragment. Their
/// lengths count 8 bytes, but for the first ones.
pub const CHAIN_OPTIONS: [u8; 4] = [0, 60, 43, 44];
/// The authentication header; its length counts 4 bytes, but for the first two ones.
pub const CHAIN_AH: u8 = 51;

/// What is asked of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The contrary.
    Not(Box<Test>),
    /// All of them; of none, true.
    All(Vec<Test>),
    /// One of them; of none, false.
    Any(Vec<Test>),
    /// The number there, of which the bits of `mask` count, against another, both in 32 unsigned bits.
    Compare {
        /// Where it is.
        load: Load,
        /// The bits that count.
        mask: u32,
        /// Never [`Order::Like`].
        order: Order,
        /// What it is compared with.
        value: u32,
    },
    /// One of the headers behind an IP header has this number, which the one before it tells. With IPv6 it goes through
    /// hop-by-hop and destination options, routing, fragment and authentication headers, with IPv4 through the latter only;
    /// two bytes of each are read, the next one's number and the length.
    Chain {
        /// Where the IP header begins, in bytes from the start of the frame.
        network: usize,
        /// Whether that is IPv6.
        six: bool,
        /// The number.
        protocol: u8,
    },
    /// Two numbers, the left one computed first.
    Relation {
        /// The one.
        left: Number,
        /// Never [`Order::Like`].
        order: Order,
        /// The other.
        right: Number,
    },
}

/// Where a number of 1, 2 or 4 bytes in network order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Bytes from the start of the frame.
    pub offset: usize,
    /// Where the IPv4 header begins whose length is to be added: four times the low half of the byte there.
    pub behind_ipv4: Option<usize>,
    /// Bytes: 1, 2 or 4.
    pub size: u8,
}

/// A number that is computed, in 32 unsigned bits that wrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// Always the same.
    Constant(u32),
    /// Bytes that the frame had on the wire.
    Length,
    /// What stands in the packet.
    Load {
        /// Where, but for `index`.
        load: Load,
        /// Bytes behind that. It and the length of an IPv4 header are added in 32 bits, and their sum to the offset without
        /// a limit.
        index: Box<Number>,
    },
    /// `0 - n`
    Negative(Box<Number>),
    /// Two, joined, the left one computed first. A division by zero ends all, as reading beyond the data does; what is
    /// shifted by 32 bits and more is 0.
    Binary(Operator, Box<Number>, Box<Number>),
}
