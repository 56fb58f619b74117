//! Events of any bytes give files that can be read to the end.

use crate::events::{Capture, Hit, Words};
use crate::file::{Block, read};

/// Numbers that are the same each time (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next() % bound).unwrap()
    }

    /// Few bytes; once in `rarely` times many.
    fn bytes(&mut self, few: u64, rarely: u64, many: u64) -> Vec<u8> {
        let most = if self.below(rarely) == 0 { many } else { few };
        (0..self.below(most + 1)).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    fn hit(&mut self) -> Hit {
        Hit {
            time: if self.below(8) == 0 { self.next() } else { self.next() >> 20 },
            device: self.bytes(2, 50, 400),
            netns: self.next() % 3,
            id: self.next() % 2 * self.next(),
            link: [1, 1, 1, 101, 101, 0, 0xffff, 0x1_0000][self.below(8)],
            protocol: [0, 0x0800, 0x86dd, 0x0806][self.below(4)],
            tag: (self.below(3) == 0).then(|| (0x8100, self.next().to_le_bytes()[0].into())),
            data: self.bytes(80, 100, 300_000),
            original: [0, 1, 60, 1500, u32::MAX][self.below(5)],
            note: self.bytes(20, 20, 19_999),
        }
    }
}

#[test]
fn random_events_are_files() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for _ in 0..60 {
        let mut capture = Capture::begun(Words { event: noise.below(70_000), session: 0 });
        let (mut packets, mut lost) = (0, 0);
        for _ in 0..noise.below(60) {
            match noise.below(12) {
                0 => {
                    let events = noise.next() >> 40;
                    capture.lose(events);
                    lost += events;
                }
                1 => capture.sink.flush().unwrap(),
                2 => {
                    capture.clock =
                        if noise.below(2) == 0 { crate::events::clock() } else { Default::default() }
                }
                3 => capture.sink.begin(&crate::events::session()).unwrap(),
                _ => {
                    let hit = noise.hit();
                    packets += u64::from(!hit.data.is_empty() && hit.link < 0x1_0000);
                    capture.hit(&hit);
                }
            }
        }
        let counts = capture.counts.clone();
        let blocks = read(&capture.finish());
        let written = blocks.iter().filter(|block| matches!(block, Block::Packet(_))).count();
        assert_eq!((written as u64, counts.packets()), (packets, packets));
        let told: u64 = blocks.iter().map(lost_by_statistics).sum();
        // Where there is no packet, there is no interface to tell of losses.
        assert_eq!(told, if packets > 0 { lost } else { 0 });
    }
}

fn lost_by_statistics(block: &Block) -> u64 {
    match block {
        Block::Statistics { options, .. } => crate::file::values(options, 5).map(crate::file::number).sum(),
        _ => 0,
    }
}
