//! What the tests of the filter language share: packets of all protocols and filters of all kinds, both made at random,
//! and two judges of which packets match, tcpdump and a machine that runs the generated BPF instructions.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests state their expectations by unwrapping"
)]

pub mod expressions;
pub mod frames;
#[path = "../../../core/event/tests/packets/generate.rs"]
pub mod generate;
pub mod machine;
#[expect(missing_docs, clippy::should_implement_trait, reason = "written for the tests of another crate")]
#[path = "../../../core/event/tests/packets/numbers.rs"]
pub mod numbers;
#[expect(missing_docs, reason = "written for the tests of another crate")]
#[path = "../../../core/event/tests/packets/pcap.rs"]
pub mod pcap;
pub mod tcpdump;

use numbers::Numbers;
use pcap::Captured;

/// Packets as captures have them, whole and cut; of each, `skip` bytes less at the front.
pub fn packets(n: &mut Numbers, count: usize, skip: usize) -> Vec<Captured> {
    let packet = |n: &mut Numbers| {
        let mut bytes = frames::frame(n);
        if n.once_in(4) {
            let at = n.below(bytes.len());
            bytes[at] = n.byte();
        }
        let mut packet = Captured::whole(bytes.split_off(skip));
        if n.once_in(3) {
            let len = 1 + n.below(packet.bytes.len());
            packet = packet.cut(len);
        }
        packet
    };
    (0..count).map(|_| packet(n)).collect()
}
