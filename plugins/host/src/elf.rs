//! What the headers of a file say, before the dynamic loader maps it: that believes them, and dies of a file that is shorter than they say.

use std::{fs::File, os::unix::fs::FileExt};

use object::{
    Endianness, ReadCache, ReadCacheOps, elf,
    read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, Sym},
};

use crate::LoadError;

/// The entry of all plugins, with its end.
const ENTRY: &[u8] = b"tracer_plugin\0";

#[cfg(target_pointer_width = "64")]
type Header = elf::FileHeader64<Endianness>;
#[cfg(target_pointer_width = "32")]
type Header = elf::FileHeader32<Endianness>;

/// Reads the file's ELF headers, without running anything of it: whether it is a shared library for this machine, is complete, and exports
/// `tracer_plugin`.
///
/// # Errors
/// What it is or lacks.
pub fn inspect(file: &File) -> Result<(), LoadError> {
    let metadata = file.metadata().map_err(LoadError::Read)?;
    if !metadata.is_file() {
        return Err(LoadError::NoLibrary("no regular file"));
    }
    let len = metadata.len();
    let mut head = [0; size_of::<Header>()];
    let head = &mut head[..usize::try_from(len).unwrap_or(usize::MAX).min(size_of::<Header>())];
    file.read_exact_at(head, 0).map_err(LoadError::Read)?;
    identity(head, len)?;
    library::<Header>(&ReadCache::new(At { file, len, at: 0 }), len)
}

/// Whether a file for this machine is a shared library with the entry.
fn library<Elf: FileHeader<Endian = Endianness>>(
    data: &ReadCache<At<'_>>,
    len: u64,
) -> Result<(), LoadError> {
    let header = Elf::parse(data).map_err(headers)?;
    let endian = header.endian().map_err(headers)?;
    if header.e_type(endian) != elf::ET_DYN {
        return Err(LoadError::NoLibrary(kind(header.e_type(endian))));
    }
    let segments_end =
        table(header.e_phoff(endian).into(), header.e_phnum(endian), size_of::<Elf::ProgramHeader>());
    let sections_end =
        table(header.e_shoff(endian).into(), header.e_shnum(endian), size_of::<Elf::SectionHeader>());
    whole(segments_end.max(sections_end), len)?;
    let segments = header.program_headers(endian, data).map_err(headers)?;
    let end = |segment: &Elf::ProgramHeader| {
        let (offset, size): (u64, u64) = (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
        offset.saturating_add(size)
    };
    whole(segments.iter().map(end).max().unwrap_or(0), len)?;
    let mut dynamic = None;
    for segment in segments {
        dynamic = dynamic.or(segment.dynamic(endian, data).map_err(headers)?);
    }
    let Some(dynamic) = dynamic else { return Err(LoadError::NoLibrary("linked statically")) };
    let is_program = |entry: &Elf::Dyn| {
        let (tag, flags): (i64, u64) = (entry.d_tag(endian).into(), entry.d_val(endian).into());
        tag == elf::DT_FLAGS_1 && flags & u64::from(elf::DF_1_PIE) != 0
    };
    if dynamic.iter().any(is_program) {
        return Err(LoadError::NoLibrary("a program"));
    }
    let sections = header.section_headers(endian, data).map_err(headers)?;
    // Without section headers only the loader can tell.
    if sections.is_empty() || exports::<Elf>(endian, data, sections)? {
        Ok(())
    } else {
        Err(LoadError::NoEntry)
    }
}

/// Whether the symbols for others have the entry.
fn exports<Elf: FileHeader<Endian = Endianness>>(
    endian: Endianness,
    data: &ReadCache<At<'_>>,
    sections: &[Elf::SectionHeader],
) -> Result<bool, LoadError> {
    let broken = || LoadError::Headers("its dynamic symbols are not inside of it".to_owned());
    // A library has one such table; however many there are said to be, it does not take longer than that.
    if let Some(section) = sections.iter().find(|section| section.sh_type(endian) == elf::SHT_DYNSYM) {
        let symbols: &[Elf::Sym] = section.data_as_array(endian, data).map_err(headers)?;
        let names = sections.get(section.sh_link(endian) as usize).ok_or_else(broken)?;
        let names = names.data(endian, data).map_err(headers)?;
        let is_entry = |symbol: &Elf::Sym| {
            let function = matches!(symbol.st_type(), elf::STT_FUNC | elf::STT_GNU_IFUNC);
            let visible = matches!(symbol.st_bind(), elf::STB_GLOBAL | elf::STB_WEAK)
                && matches!(symbol.st_visibility(), elf::STV_DEFAULT | elf::STV_PROTECTED);
            let name = names.get(symbol.st_name(endian) as usize..);
            function
                && visible
                && symbol.st_shndx(endian) != elf::SHN_UNDEF
                && name.is_some_and(|name| name.starts_with(ENTRY))
        };
        if symbols.iter().any(is_entry) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The identity of a file: whether it is ELF, and for this machine.
fn identity(head: &[u8], len: u64) -> Result<(), LoadError> {
    if !head.starts_with(&elf::ELFMAG) {
        return Err(LoadError::NotElf);
    }
    let &[_, _, _, _, class, data, .., m0, m1] = head.get(..20).unwrap_or(head) else {
        return Err(LoadError::CutShort { is: len, needs: size_of::<Header>() as u64 });
    };
    if head.len() < 20 {
        return Err(LoadError::CutShort { is: len, needs: size_of::<Header>() as u64 });
    }
    let little = data == elf::ELFDATA2LSB;
    let machine = if little { u16::from_le_bytes([m0, m1]) } else { u16::from_be_bytes([m0, m1]) };
    let here = Identity {
        machine: HERE,
        wide: cfg!(target_pointer_width = "64"),
        little: cfg!(target_endian = "little"),
    };
    let built = Identity { machine, wide: class == elf::ELFCLASS64, little };
    // What no name is known for is left to the loader.
    if built == here || (HERE == elf::EM_NONE && built.wide == here.wide && built.little == here.little) {
        return whole(size_of::<Header>() as u64, len);
    }
    // Only as much as it takes to see the difference.
    let long = built.machine == here.machine;
    Err(LoadError::Foreign { built: built.name(long), here: here.name(long) })
}

#[derive(PartialEq, Eq)]
struct Identity {
    machine: u16,
    wide: bool,
    little: bool,
}

impl Identity {
    fn name(&self, long: bool) -> String {
        let machine = MACHINES.iter().find(|(number, _)| *number == self.machine);
        let name = match machine {
            Some((_, name)) => (*name).to_owned(),
            None => format!("machine {}", self.machine),
        };
        let bits = if self.wide { 64 } else { 32 };
        let endian = if self.little { "little" } else { "big" };
        if long { format!("{name} ({bits} bits, {endian}-endian)") } else { name }
    }
}

const MACHINES: [(u16, &str); 11] = [
    (elf::EM_X86_64, "x86_64"),
    (elf::EM_AARCH64, "aarch64"),
    (elf::EM_RISCV, "riscv"),
    (elf::EM_S390, "s390x"),
    (elf::EM_PPC64, "powerpc64"),
    (elf::EM_LOONGARCH, "loongarch64"),
    (elf::EM_386, "x86"),
    (elf::EM_ARM, "arm"),
    (elf::EM_PPC, "powerpc"),
    (elf::EM_MIPS, "mips"),
    (elf::EM_BPF, "bpf"),
];

/// This machine.
const HERE: u16 = if cfg!(target_arch = "x86_64") {
    elf::EM_X86_64
} else if cfg!(target_arch = "aarch64") {
    elf::EM_AARCH64
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    elf::EM_RISCV
} else if cfg!(target_arch = "s390x") {
    elf::EM_S390
} else if cfg!(target_arch = "powerpc64") {
    elf::EM_PPC64
} else if cfg!(target_arch = "loongarch64") {
    elf::EM_LOONGARCH
} else if cfg!(target_arch = "x86") {
    elf::EM_386
} else if cfg!(target_arch = "arm") {
    elf::EM_ARM
} else {
    elf::EM_NONE
};

fn kind(e_type: u16) -> &'static str {
    match e_type {
        elf::ET_REL => "an object that was not linked",
        elf::ET_EXEC => "a program",
        elf::ET_CORE => "a core dump",
        _ => "something else",
    }
}

/// Where a table of headers ends.
fn table(offset: u64, entries: u16, size: usize) -> u64 {
    offset.saturating_add(u64::from(entries) * size as u64)
}

fn whole(needs: u64, is: u64) -> Result<(), LoadError> {
    if needs <= is { Ok(()) } else { Err(LoadError::CutShort { is, needs }) }
}

fn headers(error: object::Error) -> LoadError {
    LoadError::Headers(error.to_string())
}

/// Reads at places, and leaves the file's position alone: it may be shared with another process.
struct At<'a> {
    file: &'a File,
    len: u64,
    at: u64,
}

impl ReadCacheOps for At<'_> {
    fn len(&mut self) -> Result<u64, ()> {
        Ok(self.len)
    }

    fn seek(&mut self, at: u64) -> Result<u64, ()> {
        self.at = at;
        Ok(at)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        let read = self.file.read_at(buffer, self.at).map_err(drop)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ()> {
        self.file.read_exact_at(buffer, self.at).map_err(drop)?;
        self.at = self.at.saturating_add(buffer.len() as u64);
        Ok(())
    }
}
