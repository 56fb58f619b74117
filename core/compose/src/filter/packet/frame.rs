//! The function that makes an Ethernet frame of what a packet section's reader gave: a VLAN tag that a device keeps apart
//! is put in its place; where the data begins with the network header, only the EtherType stands before it, and the
//! addresses are not known. It is what the interpreter's `Frame` does (core/trace), instruction for instruction.

use tracer_bpf::{
    Assembler, Insn,
    insn::{Alu, AssembleError, Cond, Label, Width},
};
use tracer_event::packet::{ETHERNET, RAW};

use super::{ABSENT, Block, FIRST, LENGTH, Number, PRESENT, SIZE, START, STATE};

const BLOCK: u8 = 1;
/// Bytes of data, then of the frame.
const BYTES: u8 = 2;
const ORIGINAL: u8 = 3;
const LINK: u8 = 4;
const BEGIN: u8 = 5;
/// The tag's EtherType as it stands in a packet, 0 without one.
const TAG: u8 = 6;
/// The rest of the tag as it stands in a packet.
const CONTROL: u8 = 7;
/// The EtherType as it stands in a packet.
const KIND: u8 = 8;
const UNKNOWN: u8 = 9;

/// Bytes of the two addresses.
const ADDRESSES: i32 = 12;
const HEADER: i32 = 14;
const TAG_BYTES: i32 = 4;

pub(super) fn generate(block: &Block) -> Result<Vec<Insn>, AssembleError> {
    let mut a = Assembler::default();
    let (absent, there, raw, done, end) = (a.label(), a.label(), a.label(), a.label(), a.label());
    let data = i32::try_from(block.data()).unwrap_or(i32::MAX);
    let fields = i32::try_from(block.fields).unwrap_or(i32::MAX);
    let window = i32::try_from(block.window).unwrap_or(i32::MAX);
    let at = |back: i32| i16::try_from(data - back).unwrap_or(i16::MAX);

    // All that is asked of the fixed fields comes first, for the frame's begin is written over their end.
    a.jump_if(Cond::Lt, BYTES, fields, absent);
    a.alu(Alu::Sub, BYTES, fields);
    at_most(&mut a, BYTES, window);
    number(&mut a, ORIGINAL, block.original);
    saturate(&mut a, ORIGINAL);
    a.jump_if(Cond::Ne, BYTES, 0, there);
    a.jump_if(Cond::Eq, ORIGINAL, 0, absent);
    a.place(there);
    number(&mut a, LINK, block.link);
    short(&mut a, KIND, block.protocol);
    a.mov(TAG, 0);
    if let Some((kind, control)) = block.tag {
        short(&mut a, TAG, kind);
        short(&mut a, CONTROL, control);
    }
    a.mov(BEGIN, data);
    a.mov(UNKNOWN, 0);
    a.jump_if(Cond::Eq, LINK, RAW.cast_signed(), raw);
    a.jump_if(Cond::Ne, LINK, ETHERNET.cast_signed(), absent);

    if block.tag.is_some() {
        a.jump_if(Cond::Eq, TAG, 0, done);
        a.jump_if(Cond::Lt, BYTES, ADDRESSES, done);
        a.load(Width::B8, 0, BLOCK, at(0));
        a.load(Width::B4, LINK, BLOCK, at(-8));
        a.store(Width::B8, BLOCK, at(TAG_BYTES), 0);
        a.store(Width::B4, BLOCK, at(TAG_BYTES - 8), LINK);
        a.store(Width::B2, BLOCK, at(TAG_BYTES - ADDRESSES), TAG);
        a.store(Width::B2, BLOCK, at(TAG_BYTES - ADDRESSES - 2), CONTROL);
        longer(&mut a, TAG_BYTES);
        a.alu(Alu::Add, ORIGINAL, TAG_BYTES);
        saturate(&mut a, ORIGINAL);
    }
    a.jump(done);

    a.place(raw);
    ethertype(&mut a, at(0));
    a.store(Width::B2, BLOCK, at(2), KIND);
    longer(&mut a, HEADER);
    a.mov(UNKNOWN, ADDRESSES);
    if block.tag.is_some() {
        a.jump_if(Cond::Eq, TAG, 0, done);
        a.store(Width::B2, BLOCK, at(2 + TAG_BYTES), TAG);
        a.store(Width::B2, BLOCK, at(TAG_BYTES), CONTROL);
        longer(&mut a, TAG_BYTES);
    }

    a.place(done);
    at_most(&mut a, BYTES, window);
    a.store(Width::B4, BLOCK, START, BEGIN);
    a.store(Width::B4, BLOCK, SIZE, BYTES);
    a.store(Width::B4, BLOCK, LENGTH, ORIGINAL);
    a.store(Width::B4, BLOCK, FIRST, UNKNOWN);
    a.store_imm(Width::B4, BLOCK, STATE, PRESENT);
    a.jump(end);
    a.place(absent);
    a.store_imm(Width::B4, BLOCK, STATE, ABSENT);
    a.place(end);
    a.mov(0, 0);
    a.exit();
    a.finish()
}

/// Where the EtherType is not known, the version in the network header tells it.
fn ethertype(a: &mut Assembler, data: i16) {
    let (known, six) = (a.label(), a.label());
    let in_packet = |kind: u16| i32::from(kind.to_be());
    a.jump_if(Cond::Ne, KIND, 0, known);
    // 0 would be a length, and LLC behind it; this one is reserved.
    a.mov(KIND, 0xffff);
    a.jump_if(Cond::Eq, BYTES, 0, known);
    a.load(Width::B1, 0, BLOCK, data);
    a.alu(Alu::Rsh, 0, 4);
    a.jump_if(Cond::Eq, 0, 6, six);
    a.jump_if(Cond::Ne, 0, 4, known);
    a.mov(KIND, in_packet(0x0800));
    a.jump(known);
    a.place(six);
    a.mov(KIND, in_packet(0x86dd));
    a.place(known);
}

/// So many bytes were put before the data.
fn longer(a: &mut Assembler, bytes: i32) {
    a.alu(Alu::Sub, BEGIN, bytes);
    a.alu(Alu::Add, BYTES, bytes);
}

fn at_most(a: &mut Assembler, register: u8, most: i32) {
    let fine = a.label();
    a.jump_if(Cond::Le, register, most, fine);
    a.mov(register, most);
    a.place(fine);
}

/// At most what 32 bits hold.
fn saturate(a: &mut Assembler, register: u8) {
    let fine: Label = a.label();
    a.mov_reg(0, register);
    a.alu(Alu::Rsh, 0, 32);
    a.jump_if(Cond::Eq, 0, 0, fine);
    a.alu32(Alu::Mov, register, -1);
    a.place(fine);
}

/// A field's number, in host order.
fn number(a: &mut Assembler, register: u8, Number { offset, width, big_endian }: Number) {
    let width = Width::from_bytes(width.into()).unwrap_or(Width::B8);
    a.load(width, register, BLOCK, offset);
    if big_endian {
        a.swap_be(width, register);
    }
}

/// A field's number as 16 bits that stand in a packet; 0 where they are too few.
fn short(a: &mut Assembler, register: u8, field: Number) {
    if let Number { offset, width: 2, big_endian: true } = field {
        a.load(Width::B2, register, BLOCK, offset);
        return;
    }
    number(a, register, field);
    if field.width > 2 {
        let fine = a.label();
        a.mov_reg(0, register);
        a.alu(Alu::Rsh, 0, 16);
        a.jump_if(Cond::Eq, 0, 0, fine);
        a.mov(register, 0);
        a.place(fine);
    }
    a.swap_be(Width::B2, register);
}
