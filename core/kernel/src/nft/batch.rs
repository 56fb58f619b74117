//! Netlink messages as bytes: writing nf_tables' nested attributes, and reading them back. Both directions in
//! one file, because one layout describes both: a header of length and type, a payload, padding to 4 bytes.

use super::uapi::*;

/// Messages in a row, to be sent at once.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    first: u32,
    next: u32,
}

impl Batch {
    /// Messages are numbered from `first`.
    pub(super) fn new(first: u32) -> Batch {
        Batch { bytes: Vec::new(), first, next: first }
    }

    /// Appends a message of nf_tables; `kind` is `NFT_MSG_*`. Returns its sequence number.
    pub(super) fn nft(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) -> u32 {
        self.message(NFNL_SUBSYS_NFTABLES << 8 | kind, flags, family, 0, fill)
    }

    /// Appends the message that begins (`NFNL_MSG_BATCH_BEGIN`) or ends a transaction.
    pub(super) fn bracket(&mut self, kind: u16) -> u32 {
        self.message(kind, 0, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES, |_| {})
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sequence number of the next message.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Whether a sequence number is one of these messages'.
    pub(super) fn has(&self, sequence: u32) -> bool {
        (self.first..self.next).contains(&sequence)
    }

    /// `struct nlmsghdr` (length, type, flags, sequence, port; native endian), then `struct nfgenmsg`
    /// (family, version 0, big-endian resource), then attributes.
    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) -> u32 {
        let start = self.bytes.len();
        let sequence = self.next;
        self.next += 1;
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        fill(&mut Attributes { bytes: &mut self.bytes });
        let len = u32::try_from(self.bytes.len() - start).expect("our messages are a few hundred bytes");
        self.bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
        sequence
    }
}

/// Where a message's attributes are written.
pub(super) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    /// A text with its zero.
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        self.attribute(kind, |bytes| {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        });
    }

    /// nf_tables' numbers are big-endian.
    pub(super) fn number(&mut self, kind: u16, number: u32) {
        self.attribute(kind, |bytes| bytes.extend_from_slice(&number.to_be_bytes()));
    }

    pub(super) fn raw(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |bytes| bytes.extend_from_slice(value));
    }

    pub(super) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        self.attribute(kind | NLA_F_NESTED, |bytes| fill(&mut Attributes { bytes }));
    }

    /// `struct nlattr` (length without padding, type; native endian), payload, padding.
    fn attribute(&mut self, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        fill(self.bytes);
        let len = u16::try_from(self.bytes.len() - start).expect("names are bounded by TraceSwitch::arm");
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// A received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// After `struct nlmsghdr`.
    payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// For `NLMSG_ERROR` and `NLMSG_DONE`: 0, or minus the errno.
    pub(super) fn status(&self) -> i32 {
        self.payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes))
    }

    /// The family in `struct nfgenmsg`.
    pub(super) fn family(&self) -> u8 {
        self.payload.first().copied().unwrap_or(NFPROTO_UNSPEC)
    }

    /// The attributes after `struct nfgenmsg`.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.payload.get(4..).unwrap_or(&[]))
    }
}

/// The messages in what one receive gave.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<16>()?;
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let payload = bytes.get(16..len)?;
        let message = Message {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        };
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

/// Types and payloads of the attributes in a payload.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [len0, len1, kind0, kind1] = *bytes.first_chunk::<4>()?;
        let len = usize::from(u16::from_ne_bytes([len0, len1]));
        let payload = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((u16::from_ne_bytes([kind0, kind1]) & NLA_TYPE_MASK, payload))
    })
}

/// The first attribute of a type.
pub(super) fn find<'a>(attributes: impl IntoIterator<Item = (u16, &'a [u8])>, kind: u16) -> Option<&'a [u8]> {
    attributes.into_iter().find(|(found, _)| *found == kind).map(|(_, payload)| payload)
}

/// A number as nf_tables writes it.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(payload.try_into().ok()?))
}

/// A text without its zero.
pub(super) fn text(payload: &[u8]) -> Option<&str> {
    std::str::from_utf8(payload.strip_suffix(&[0]).unwrap_or(payload)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_as_libmnl_writes_it() {
        let mut batch = Batch::new(7);
        let sequence = batch.nft(NFT_MSG_NEWTABLE, NLM_F_CREATE, NFPROTO_INET, |table| {
            table.text(NFTA_TABLE_NAME, "abcd");
            table.number(NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
        });
        let mut expected = [
            [40u32.to_ne_bytes(), [0; 4], 7u32.to_ne_bytes(), [0; 4], [1, 0, 0, 0]].concat(),
            [&9u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"abcd\0\0\0\0"].concat(),
            [&8u16.to_ne_bytes()[..], &2u16.to_ne_bytes(), &[0, 0, 0, 2]].concat(),
        ]
        .concat();
        // Type: subsystem 10, message 0. Flags: NLM_F_CREATE and NLM_F_REQUEST.
        expected[4..6].copy_from_slice(&0x0a00u16.to_ne_bytes());
        expected[6..8].copy_from_slice(&0x0401u16.to_ne_bytes());
        assert_eq!(batch.bytes(), expected);
        assert_eq!((sequence, batch.next()), (7, 8));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut batch = Batch::new(1);
        batch.bracket(NFNL_MSG_BATCH_BEGIN);
        batch.nft(NFT_MSG_NEWRULE, 0, NFPROTO_IPV4, |rule| {
            rule.raw(9, &[1]);
            rule.nest(4, |list| list.nest(1, |elem| elem.number(2, 12)));
            rule.text(1, "t");
        });
        let read: Vec<Message<'_>> = messages(batch.bytes()).collect();
        assert_eq!([read[0].kind, read[1].kind], [16, 0x0a06]);
        assert_eq!((read[1].sequence, read[1].family()), (2, NFPROTO_IPV4));
        assert_eq!(find(read[1].attributes(), 1).and_then(text), Some("t"));
        let list = find(read[1].attributes(), 4).unwrap();
        let elem = find(attributes(list), 1).unwrap();
        assert_eq!(find(attributes(elem), 2).and_then(number), Some(12));
    }

    #[test]
    fn broken_lengths_end_the_walk() {
        assert_eq!(messages(&[0; 40]).count(), 0);
        assert_eq!(messages(&[255; 40]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[200, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[4, 0]).count(), 0);
    }
}
