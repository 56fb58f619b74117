//! What is wrong with a library, or with what it did.

use tracer_plugin_abi::c;

use crate::When;

/// Why a library cannot be loaded. The messages begin with "it", the library.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum LoadError {
    #[error("it cannot be read")]
    Read(#[source] std::io::Error),
    #[error("it is no ELF file")]
    NotElf,
    #[error("it is built for {built}; this machine is {here}")]
    Foreign { built: String, here: String },
    #[error("it is {0}, no shared library")]
    NoLibrary(&'static str),
    #[error("it is cut short: {is} of {needs} bytes")]
    CutShort { is: u64, needs: u64 },
    #[error("its ELF headers contradict each other: {0}")]
    Headers(String),
    #[error("it does not export the function `tracer_plugin`, which says what the plugin is")]
    NoEntry,
    #[error("the dynamic loader refuses it: {0}")]
    Loader(String),
    #[error("`tracer_plugin` returned NULL and no descriptor")]
    NoDescriptor,
    #[error(
        "`tracer_plugin` returned no descriptor of a plugin: it begins with {0:#018x}, not with {magic:#018x}",
        magic = c::MAGIC
    )]
    Magic(u64),
    #[error(
        "it was built for version {major}.{minor} of the plugin interface, and this tracer has {ours}.{our_minor}: take a build of it \
         for version {ours}",
        ours = c::MAJOR,
        our_minor = c::MINOR
    )]
    Major { major: u16, minor: u16 },
    #[error("{what} is {is}; {least} to {most} are possible")]
    Size { what: &'static str, is: u64, least: u64, most: u64 },
    #[error("its descriptor has no functions: `functions` is NULL")]
    NoFunctions,
    #[error("{0} is NULL, but not its length")]
    NoText(String),
    #[error("{what} is a text of {len} bytes; 256 are possible")]
    LongText { what: String, len: u64 },
    #[error("{what} is not UTF-8: \"{}\"", .text.escape_ascii())]
    TextEncoding { what: String, text: Vec<u8> },
    #[error("{what} is '{}', which is no C identifier", .name.escape_debug())]
    Name { what: String, name: String },
    #[error("{what} says {is}; {most} are possible")]
    Count { what: String, is: u64, most: u64 },
    #[error("{0} is NULL, but not its length")]
    NoArray(String),
    #[error("it declares the section {0}, but has no function `enrich` that would fill it")]
    SectionWithoutEnrich(String),
    #[error("it has a function `enrich`, but declares no section that this would fill")]
    EnrichWithoutSection,
    #[error("it has neither `enrich` nor `event`: nothing to do")]
    NothingToDo,
    #[error("section {section}: there are two fields {field}")]
    Twice { section: String, field: String },
    #[error("section {section} has {texts} bytes for texts, but no field that is a text")]
    TextsWithoutField { section: String, texts: u32 },
    #[error("section {section}, field {field}: {problem}")]
    Field { section: String, field: String, problem: FieldProblem },
}

/// What is wrong with a field of a section.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FieldProblem {
    #[error("{0} is no kind of field that this tracer knows")]
    Kind(u32),
    #[error("a number of {0} bytes; 1, 2, 4 and 8 are possible")]
    Width(u32),
    #[error("a text's place takes 4 bytes, not {0}")]
    TextWidth(u32),
    #[error("it has no bytes")]
    NoBytes,
    #[error("{size} bytes at offset {offset} are not inside the {struct_size} bytes of the struct")]
    Outside { offset: u32, size: u32, struct_size: u32 },
    #[error("it is a text, but the section has no bytes for texts")]
    NoTexts,
    #[error("it has names of values, but is no number")]
    Names,
}

/// What a plugin did wrong, or why it says that it cannot go on. It is not to be called any more, but for `stop`.
///
/// A plugin's own reason is in the message as it is, up to 1 KiB of any characters: whoever shows it escapes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Failure {
    #[error("`{function}` failed: {}", because(why.as_deref(), *code))]
    Returned { function: &'static str, code: i32, why: Option<String> },
    #[error("`{function}` panicked: {}", because(why.as_deref(), c::PANICKED))]
    Panicked { function: &'static str, why: Option<String> },
    #[error("`{function}` returned {}", no_status(*code))]
    NoStatus { function: &'static str, code: i32 },
    #[error("`{function}` wrote beyond its room: {what}")]
    Overrun { function: &'static str, what: String },
    #[error("`{function}`: it says that its texts take {used} bytes; the room has {room}")]
    Sizes { function: &'static str, used: u32, room: u32 },
    #[error(
        "`{function}`: the text {field} is said to be {len} bytes at {start}; the texts begin at {from} and end at {to}"
    )]
    Text { function: &'static str, field: String, start: u32, len: u32, from: u32, to: u32 },
    #[error("it called `{callback}` of the host's {when}")]
    WrongTime { callback: &'static str, when: When },
    #[error("`{function}` is not called: the plugin failed before")]
    Over { function: &'static str },
}

fn no_status(code: i32) -> String {
    match code {
        c::ABSENT => "TRACER_ABSENT, which only `enrich` may".to_owned(),
        code => format!("{code}, which means nothing"),
    }
}

fn because(why: Option<&str>, code: i32) -> String {
    match why {
        Some(why) => why.to_owned(),
        None => format!("it returned {code} and did not say why"),
    }
}
