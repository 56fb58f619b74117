//! Tunnels over UDP that carry virtual networks: VXLAN (RFC 7348) and Geneve (RFC 8926). Only the destination port says
//! that it is one, so what does not look like the header at all is taken for other people's use of the port.

use super::text::{Words, number};
use super::{Flaw, input::Input, names};

/// The header of a tunnel over UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// VXLAN.
    Vxlan {
        /// The virtual network, 24 bits.
        vni: u32,
    },
    /// Geneve.
    Geneve {
        /// The virtual network, 24 bits.
        vni: u32,
        /// What it carries, an EtherType.
        protocol: u16,
        /// Bytes of its options.
        options: u8,
    },
}

/// IANA's port, and the one that Linux has used from before there was one.
const VXLAN: [u16; 2] = [4789, 8472];
const GENEVE: u16 = 6081;
/// The flag that a VXLAN header must have.
const VXLAN_VNI: u8 = 0x08;

impl Overlay {
    /// The header, if there is one, and what it carries.
    pub(super) fn read(port: u16, input: &mut Input<'_>) -> Result<Option<(Overlay, u16)>, Flaw> {
        if VXLAN.contains(&port) {
            // Other bits are for extensions that leave the rest as it is.
            if input.peek::<1>()?[0] & VXLAN_VNI == 0 {
                return Ok(None);
            }
            let [_flags, _, _, _, a, b, c, _] = input.take()?;
            let vni = u32::from_be_bytes([0, a, b, c]);
            return Ok(Some((Overlay::Vxlan { vni }, names::ETHERNET)));
        }
        if port == GENEVE {
            let [first] = input.peek()?;
            // Version 0 is the only one.
            if first >> 6 != 0 {
                return Ok(None);
            }
            let [_, _flags, p, q, a, b, c, _] = input.take()?;
            let options = (first & 0x3f) * 4;
            input.skip(usize::from(options))?;
            let (vni, protocol) = (u32::from_be_bytes([0, a, b, c]), u16::from_be_bytes([p, q]));
            return Ok(Some((Overlay::Geneve { vni, protocol, options }, protocol)));
        }
        Ok(None)
    }
}

impl Words for Overlay {
    fn push(&self, out: &mut String) {
        match self {
            Overlay::Vxlan { vni } => number(out, "vxlan vni ", *vni),
            Overlay::Geneve { vni, .. } => number(out, "geneve vni ", *vni),
        }
    }
}
