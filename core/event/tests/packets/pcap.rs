//! The classic pcap file format, as much of it as a test needs to hand packets to tcpdump.

/// A packet as a capture has it: its first bytes, and how many there were.
#[derive(Debug, Clone)]
pub struct Captured {
    pub bytes: Vec<u8>,
    pub original: u32,
}

impl Captured {
    pub fn whole(bytes: Vec<u8>) -> Captured {
        let original = u32::try_from(bytes.len()).unwrap();
        Captured { bytes, original }
    }

    pub fn cut(mut self, len: usize) -> Captured {
        self.bytes.truncate(len);
        self
    }
}

/// A file of Ethernet packets.
pub fn file(packets: &[Captured]) -> Vec<u8> {
    let mut file = Vec::new();
    // Magic number, version 2.4, UTC, -, snaplen, LINKTYPE_ETHERNET.
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x4_0000, 1_u32] {
        file.extend(word.to_le_bytes());
    }
    for (number, packet) in packets.iter().enumerate() {
        let words = [number, 0, packet.bytes.len(), packet.original as usize];
        file.extend(words.iter().flat_map(|word| u32::try_from(*word).unwrap().to_le_bytes()));
        file.extend(&packet.bytes);
    }
    file
}
