//! A program that asks a packet filter of one packet, so that the generated instructions can be tried out: under the
//! kernel by `BPF_PROG_TEST_RUN`, or by any machine that runs BPF. The packet stands where a section's reader would have
//! put it.

use tracer_bpf::{
    Assembler, Insn,
    insn::{PSEUDO_MAP_VALUE, Width},
};
use tracer_dsl::{Diagnostic, filter::Filter, filter::bytes::Test};
use tracer_event::{Field, Kind, Schema, Show, Tail, packet::Capture};

use super::{Block, Number, PacketError, window};

/// Offset of the number that is not used otherwise; here, what the reader returned.
const RETURNED: i16 = 20;

/// A program of type raw tracepoint that returns 1 if its packet matches and 0 if it does not. It does not look at its
/// context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    insns: Vec<Insn>,
    block: Block,
}

/// Why a filter has no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// The filter is about more than packets.
    #[error("{}", .0.message)]
    Filter(Box<Diagnostic>),
    /// The packet's part.
    #[error(transparent)]
    Packet(#[from] PacketError),
}

impl Program {
    /// Instructions before the body: a load of the map's value into r1.
    pub const MAP_LOAD: usize = 2;

    /// The program of a filter that is about packets only.
    ///
    /// # Errors
    /// A part that is about the event, or more than BPF programs can hold.
    pub fn new(filter: &Filter) -> Result<Program, ProgramError> {
        let test = filter.packet().map_err(ProgramError::Filter)?;
        Ok(Program::of(&test)?)
    }

    fn of(test: &Test) -> Result<Program, PacketError> {
        let block = Block::new(&schema(), window(test))?;
        let mut main = Assembler::default();
        main.load_pseudo(1, PSEUDO_MAP_VALUE, 0, 0);
        main.mov_reg(6, 1);
        main.load(Width::B4, 2, 6, RETURNED);
        let frame = main.call_function();
        main.mov_reg(1, 6);
        let asked = main.call_function();
        main.exit();
        let mut insns = main.finish()?;
        for (call, function) in [(frame, block.frame()?), (asked, block.test(test)?)] {
            insns[call].imm = i32::try_from(insns.len() - call - 1).unwrap_or(i32::MAX);
            insns.extend(function);
        }
        Ok(Program { insns, block })
    }

    /// The instructions. The first one loads the only value of an array map of [`Program::value_size`] bytes; its
    /// immediate is to be the map's descriptor.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// Bytes of the map's value.
    pub fn value_size(&self) -> u32 {
        self.block.size()
    }

    /// Bytes of data that are put into the map's value at most.
    pub fn window(&self) -> u32 {
        self.block.window()
    }

    /// The map's value for a packet.
    pub fn value(&self, capture: &Capture<'_>) -> Vec<u8> {
        let Block { fields, link, protocol, original, tag, .. } = self.block;
        let mut value = vec![0; self.block.size() as usize];
        let mut put = |Number { offset, width, big_endian }: Number, number: u32| {
            let bytes =
                if big_endian { u64::from(number).to_be_bytes() } else { u64::from(number).to_ne_bytes() };
            let width = usize::from(width);
            let bytes =
                if big_endian || cfg!(target_endian = "big") { &bytes[8 - width..] } else { &bytes[..width] };
            let at = usize::try_from(offset).unwrap_or(0);
            value[at..at + width].copy_from_slice(bytes);
        };
        put(link, capture.link);
        put(protocol, capture.ethertype.into());
        put(original, capture.original);
        if let (Some((kind, control)), Some(tag)) = (tag, capture.tag) {
            put(kind, tag.ethertype.into());
            put(control, tag.control.into());
        }
        let data = &capture.bytes[..capture.bytes.len().min(self.block.window as usize)];
        let at = self.block.data() as usize;
        value[at..at + data.len()].copy_from_slice(data);
        let returned = fields + u32::try_from(data.len()).unwrap_or(0);
        value[RETURNED as usize..RETURNED as usize + 4].copy_from_slice(&returned.to_ne_bytes());
        value
    }
}

/// What packet sections have in common.
fn schema() -> Schema {
    let field = |name: &str, offset, kind, show| Field { name: name.to_owned(), offset, kind, show };
    let fields = vec![
        field("orig_len", 0, Kind::Uint(4), Show::Plain),
        field("link", 4, Kind::Uint(4), Show::Plain),
        field("protocol", 8, Kind::Uint(2), Show::Be16),
        field("vlan_proto", 10, Kind::Uint(2), Show::Be16),
        field("vlan_tci", 12, Kind::Uint(2), Show::Plain),
        field("data", 14, Kind::Tail, Show::Packet),
    ];
    let tail = Some(Tail { max: Schema::MAX_TAIL });
    Schema::new("packet", 14, tail, fields, None).expect("the fields are inside the struct")
}
