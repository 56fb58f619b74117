//! Texts of sections that were rendered before. Packets that meet the same rule on the same device have the same bytes in the
//! sections that say so, and comparing those is much quicker than printing their fields again.

use crate::{Section, Show};

/// The last texts of each section of each probe, for one session. The memory they take is bounded.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// By the probe's number, then by the section's place.
    known: Vec<Vec<Recent>>,
    /// Of all that is known.
    bytes: usize,
}

/// The last few texts of one section.
#[derive(Debug, Default)]
struct Recent {
    texts: Vec<(Box<[u8]>, Box<str>)>,
    /// Which is replaced next.
    oldest: usize,
    found: u32,
    missed: u32,
}

impl Texts {
    /// Texts that are kept of each section: the rules of a busy firewall that decide nearly all.
    const KEPT: usize = 8;
    /// A section above this is not a usual one, and mostly of data that do not come again.
    const MAX_SECTION: usize = 512;
    /// When this is used up, all are forgotten.
    const MAX_BYTES: usize = 4 << 20;
    /// After so many looks it is known whether they are worth it.
    const TRIAL: u32 = 256;

    /// The text of a section: remembered, or rendered by `render`, which depends on nothing but the section's bytes and
    /// what is the same in all of the session.
    pub(crate) fn push(
        &mut self,
        out: &mut String,
        probe: u16,
        index: usize,
        section: &Section<'_>,
        render: impl FnOnce(&mut String),
    ) {
        let bytes = section.bytes();
        let is_packet = section.schema().fields().last().is_some_and(|field| field.show == Show::Packet);
        if is_packet || bytes.len() > Texts::MAX_SECTION {
            return render(out);
        }
        let recent = self.of(usize::from(probe), index);
        if recent.missed > Texts::TRIAL && recent.missed / 4 > recent.found {
            return render(out);
        }
        if let Some((_, text)) = recent.texts.iter().find(|(known, _)| **known == *bytes) {
            recent.found = recent.found.saturating_add(1);
            return out.push_str(text);
        }
        recent.missed = recent.missed.saturating_add(1);
        let start = out.len();
        render(out);
        let text: Box<str> = out.get(start..).unwrap_or_default().into();
        let size = bytes.len() + text.len();
        let new = (bytes.into(), text);
        if recent.texts.len() < Texts::KEPT {
            recent.texts.push(new);
        } else {
            recent.texts[recent.oldest] = new;
            recent.oldest = (recent.oldest + 1) % Texts::KEPT;
        }
        // What was replaced is counted as if it were there: it is all forgotten a little sooner.
        self.bytes += size;
        if self.bytes > Texts::MAX_BYTES {
            *self = Texts::default();
        }
    }

    fn of(&mut self, probe: usize, index: usize) -> &mut Recent {
        if self.known.len() <= probe {
            self.known.resize_with(probe + 1, Vec::new);
        }
        let sections = &mut self.known[probe];
        if sections.len() <= index {
            sections.resize_with(index + 1, Recent::default);
        }
        &mut sections[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, sample};

    fn push(texts: &mut Texts, nft: [u8; 96], rendered: &mut u32) -> String {
        let layout = sample::layout();
        let bytes = sample::Bytes::new(&layout).fixed(0, &nft).finish();
        let record = Record::parse(&bytes, &layout).unwrap();
        let mut out = "<".to_owned();
        texts.push(&mut out, 3, 0, &record.section(0).unwrap(), |out| {
            *rendered += 1;
            out.push_str(&format!("{}", nft[sample::NFT_RULE]));
        });
        out
    }

    fn rule(number: u8) -> [u8; 96] {
        let mut nft = sample::nft();
        nft[sample::NFT_RULE] = number;
        nft
    }

    #[test]
    fn what_came_before_is_not_rendered_again() {
        let (mut texts, mut rendered) = (Texts::default(), 0);
        for number in [1, 2, 1, 2, 2, 1] {
            assert_eq!(push(&mut texts, rule(number), &mut rendered), format!("<{number}"));
        }
        assert_eq!(rendered, 2);
        // More than are kept: each is right, and the newest are known.
        for number in 0..20 {
            assert_eq!(push(&mut texts, rule(number), &mut rendered), format!("<{number}"));
        }
        rendered = 0;
        push(&mut texts, rule(19), &mut rendered);
        assert_eq!(rendered, 0);
    }

    #[test]
    fn what_never_comes_again_is_not_kept_for_long() {
        let (mut texts, mut rendered) = (Texts::default(), 0);
        for number in 0..2_000_u32 {
            let mut nft = rule(7);
            nft[64..68].copy_from_slice(&number.to_le_bytes());
            push(&mut texts, nft, &mut rendered);
        }
        assert_eq!(rendered, 2_000);
        let recent = &texts.known[3][0];
        assert!(recent.missed <= Texts::TRIAL + 1, "{}", recent.missed);
        assert!(texts.bytes < Texts::MAX_BYTES);
    }
}
