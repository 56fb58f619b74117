//! A machine that runs the instructions: rbpf, with a kernel's memory at made-up addresses behind the two helpers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

use tracer_bpf::Assembler;
use tracer_bpf::insn::{Cond, Label};
use tracer_compose::filter::Memory;

/// Where the scratch memory is: behind something else, as in a slot.
pub(crate) const SCRATCH: Memory = Memory { register: 7, offset: 24 };
const FILL: u8 = 0xa5;
const SIZE: usize = 640;
const EFAULT: i64 = -14;

#[repr(align(8))]
struct Slot([AtomicU8; SIZE]);

thread_local! {
    static SLOT: &'static Slot = Box::leak(Box::new(Slot([const { AtomicU8::new(FILL) }; SIZE])));
    static SECTION: RefCell<Vec<Range<u64>>> = const { RefCell::new(Vec::new()) };
    static KERNEL: RefCell<BTreeMap<u64, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Pieces of the kernel's memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kernel(pub(crate) BTreeMap<u64, Vec<u8>>);

impl Kernel {
    pub(crate) fn put(&mut self, address: u64, offset: usize, bytes: &[u8]) {
        self.0.get_mut(&address).unwrap()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// `bpf_probe_read_kernel`: all or nothing, and of nothing zeros.
fn read(to: u64, size: u64, from: u64, _: u64, _: u64) -> u64 {
    copy(to, size, from, |bytes| bytes.get(..size as usize).map(<[u8]>::to_vec))
}

/// `bpf_probe_read_kernel_str`: as much as fits before the NUL that it ends with, and how much that is.
fn read_text(to: u64, size: u64, from: u64, _: u64, _: u64) -> u64 {
    let text = |bytes: &[u8]| {
        let room = size as usize - 1;
        let end = bytes.iter().take(room).position(|byte| *byte == 0);
        let mut text = bytes.get(..end.unwrap_or(room))?.to_vec();
        text.push(0);
        Some(text)
    };
    match copy(to, size, from, text) {
        0 => 1,
        error => error,
    }
}

fn copy(to: u64, size: u64, from: u64, part: impl Fn(&[u8]) -> Option<Vec<u8>>) -> u64 {
    let found = KERNEL.with_borrow(|kernel| {
        let (start, bytes) = kernel.range(..=from).next_back()?;
        part(bytes.get((from - start) as usize..)?)
    });
    let failed = found.is_none();
    let bytes = found.unwrap_or_else(|| vec![0; size as usize]);
    SLOT.with(|slot| {
        let at = usize::try_from(to - slot.0.as_ptr().addr() as u64).unwrap();
        for (place, byte) in slot.0[at..].iter().zip(bytes) {
            place.store(byte, Ordering::Relaxed);
        }
    });
    if failed { EFAULT.cast_unsigned() } else { 0 }
}

/// The same, of a section in memory that the helpers can read.
pub(crate) fn run_at(
    section: &[u8],
    scratch: Memory,
    size: usize,
    emit: impl FnOnce(&mut Assembler, Memory, Label),
) -> bool {
    assert_eq!(scratch, SCRATCH);
    // Its address must stay: rbpf and the helpers read it where it is.
    let section: &'static [u8] = Box::leak(section.to_vec().into_boxed_slice());
    let address = section.as_ptr().addr() as u64;
    let mut kernel = Kernel::default();
    kernel.0.insert(address, section.to_vec());
    SECTION.with_borrow_mut(|own| own.push(address..address + section.len() as u64));
    let answer = run(&kernel, &[], address, size, |asm, otherwise| {
        emit(asm, Memory { register: 1, offset: 0 }, otherwise);
    });
    SECTION.with_borrow_mut(Vec::clear);
    answer
}

/// Runs what `emit` makes: whether it fell through. `value` is in the scratch memory, `pointer` in r1. All else there is
/// rubbish, and must be so afterwards, beyond `scratch` bytes.
pub(crate) fn run(
    kernel: &Kernel,
    value: &[u8],
    pointer: u64,
    scratch: usize,
    emit: impl FnOnce(&mut Assembler, Label),
) -> bool {
    let slot = SLOT.with(|slot| *slot);
    slot.0.iter().for_each(|byte| byte.store(FILL, Ordering::Relaxed));
    let start = SCRATCH.offset as usize;
    for (place, byte) in slot.0[start..].iter().zip(value) {
        place.store(*byte, Ordering::Relaxed);
    }
    let address = slot.0.as_ptr().addr() as u64;
    let mut asm = Assembler::default();
    let (otherwise, broken) = (asm.label(), asm.label());
    asm.mov(6, 106);
    asm.load64(7, address);
    asm.mov(8, 108);
    asm.mov(9, 109);
    asm.load64(1, pointer);
    emit(&mut asm, otherwise);
    let check = |asm: &mut Assembler, answer| {
        for (register, value) in [(6, 106), (8, 108), (9, 109)] {
            asm.jump_if(Cond::Ne, register, value, broken);
        }
        asm.mov(0, answer);
        asm.exit();
    };
    check(&mut asm, 1);
    asm.place(otherwise);
    check(&mut asm, 0);
    asm.place(broken);
    asm.mov(0, 2);
    asm.exit();
    let code: Vec<u8> = asm.finish().unwrap().into_iter().flat_map(tracer_bpf::Insn::bytes).collect();

    KERNEL.with_borrow_mut(|own| own.clone_from(&kernel.0));
    let mut vm = rbpf::EbpfVmNoData::new(Some(&code)).unwrap();
    vm.register_helper(113, read).unwrap();
    vm.register_helper(115, read_text).unwrap();
    vm.register_allowed_memory(address..address + SIZE as u64);
    SECTION.with_borrow(|own| own.iter().for_each(|range| vm.register_allowed_memory(range.clone())));
    let answer = vm.execute_program().unwrap();
    assert!(answer < 2, "a register that is not its own was changed");
    let untouched = |byte: &AtomicU8| byte.load(Ordering::Relaxed) == FILL;
    assert!(slot.0[..start].iter().all(untouched), "written before the scratch memory");
    let end = start + scratch.max(value.len());
    assert!(slot.0[end..].iter().all(untouched), "written behind the scratch memory");
    answer == 1
}
