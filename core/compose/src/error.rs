//! What can be wrong with a fragment, and with composing a program.

use tracer_bpf::{BtfError, insn::AssembleError};

use crate::filter::packet::PacketError;
use crate::manifest::ManifestError;

/// Why a collector's folder cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// The manifest.
    #[error("collector.toml: {0}")]
    Manifest(#[from] ManifestError),
    /// The object is not an ELF file for BPF.
    #[error("not a BPF object: {0}")]
    Elf(String),
    /// The object has no BTF: it was compiled without `-g`.
    #[error("the object has no BTF: compile it with `-g`")]
    NoBtf,
    /// The object's BTF cannot be read.
    #[error("the object's BTF: {0}")]
    Btf(#[from] BtfError),
    /// The object does not say which version of the fragment ABI it was compiled with.
    #[error(
        "the object does not say which version of the fragment ABI it is for: include `tracer/fragment.h`"
    )]
    NoAbi,
    /// Compiled for another version of the fragment ABI.
    #[error(
        "the object was compiled for version {found} of the fragment ABI, and this tracer has {known}: compile it with \
         the headers that `tracer plugin include-dir` names"
    )]
    Abi {
        /// What the object says, made harmless.
        found: String,
        /// `MAJOR.MINOR` of this tracer.
        known: String,
    },
    /// A helper that fragments may not call.
    #[error(
        "{function} calls helper {helper}{}, which a fragment may not: it only reads, and keeps maps of its own", known_as(*helper)
    )]
    Helper {
        /// The C function, or the section of the object.
        function: String,
        /// The helper's number in `include/uapi/linux/bpf.h`.
        helper: i32,
    },
    /// A section that takes too much of a record, or arguments too much of the stack.
    #[error("{what} takes {size} bytes; {most} are possible")]
    TooLarge {
        /// What it is.
        what: String,
        /// Its size.
        size: u32,
        /// The limit.
        most: u32,
    },
    /// A call or variable that no object defines.
    #[error("`{0}` is not defined in the object")]
    Undefined(String),
    /// Global variables: constants and switch tables included.
    #[error("global data in {0}: a fragment keeps what it needs in maps or on the stack")]
    GlobalData(String),
    /// A licence under which the kernel's tracing helpers may not be called.
    #[error("licence `{0}` is not compatible with the GPL, which tracing helpers require")]
    Licence(String),
    /// A map whose name does not carry the collector's.
    #[error("map `{map}` must be named `{collector}_...`")]
    MapName {
        /// The map.
        map: String,
        /// The collector.
        collector: String,
    },
    /// A reader or accessor with other parameters than the ABI's.
    #[error("{function}: {reason}")]
    Signature {
        /// The C function.
        function: String,
        /// What is wrong.
        reason: String,
    },
    /// A member of a section struct that no schema can hold.
    #[error("section {section}, field {field}: {reason}")]
    Field {
        /// The section.
        section: String,
        /// The member.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// A section as a whole: its layout or its text.
    #[error("section {section}: {reason}")]
    Schema {
        /// The section.
        section: String,
        /// What is wrong.
        reason: String,
    },
    /// The manifest speaks of a section or field that the object does not have.
    #[error("collector.toml names {what} `{name}`, which the object does not have")]
    Missing {
        /// "section", "field", "accessor".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The manifest describes another section than the one that its native half is to add.
    #[error(
        "collector.toml describes section `{section}`, but its `[native]` adds `{native}`: write the same name in both"
    )]
    OtherSection {
        /// The section of `[section.NAME]`.
        section: String,
        /// That of `[native]`.
        native: String,
    },
    /// The object uses an option that its manifest does not define as a number.
    #[error("the object uses option `{0}`, which collector.toml does not define as a number")]
    NoOption(String),
    /// The manifest speaks of a native half, and no library is there.
    #[error("collector.toml has `[native]`, and there is no library for it")]
    NoLibrary,
    /// A library is there, and the manifest does not speak of it.
    #[error(
        "there is a library, and collector.toml has no `[native]`: add it, with `section = \"NAME\"` if the library adds a \
         section to events, and with `sink = true` if it is given events by `--sink`"
    )]
    NoNative,
    /// The object's relocations do not fit this kernel's types, or the object is malformed.
    #[error("cannot be resolved against this kernel's types: {0}")]
    Relocation(String),
}

fn known_as(helper: i32) -> String {
    crate::helpers::name(helper).map(|name| format!(" ({name})")).unwrap_or_default()
}

/// Why a program cannot be composed from parts that are fine by themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// Returns of functions by kprobes.
    #[error("on this architecture, returns of functions can be probed by fexit only")]
    Returns,
    /// Arguments of all readers together do not fit the stack of the composed program.
    #[error("the readers together want {0} bytes of arguments; {1} fit the stack")]
    Stack(usize, usize),
    /// A parameter beyond those that a probe of this type can reach.
    #[error("parameter {0} of the function cannot be read by a probe of this type")]
    Parameter(u8),
    /// A member further than an instruction's offset reaches.
    #[error("an offset of {0} bytes is too far for one load")]
    Offset(u32),
    /// Too many or too large sections.
    #[error("the sections do not fit a record: {0}")]
    Layout(String),
    /// A filter that is too large to be asked in the kernel.
    #[error(transparent)]
    Filter(#[from] PacketError),
    /// The generator's own mistake.
    #[error("code generation: {0}")]
    Assemble(#[from] AssembleError),
    /// The generator's own mistake.
    #[error("code generation: function `{0}` is not linked")]
    NotLinked(String),
    /// A linked fragment's type information cannot be read back.
    #[error("type information of a linked fragment: {0}")]
    Btf(#[from] BtfError),
}
