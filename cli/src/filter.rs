//! `tracer filter test`: which packets of a capture file match, so that anybody can compare with `tcpdump -r FILE EXPR`.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Command, value_parser};
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader, traits::PcapNGPacketBlock};
use tracer_dsl::{Diagnostics, SourceRef, filter::Filter};
#[cfg(target_os = "linux")]
use tracer_engine::{Class, PacketProgram, PacketProgramError};
use tracer_event::packet::{Capture, ETHERNET, RAW};
use tracer_trace::filter::PacketFilter;

use crate::{
    command::{complain, complain_of, printed, warn_of},
    exit::Exit,
};

/// What the words behind `filter test` say.
pub(crate) struct Asked {
    text: String,
    file: PathBuf,
    bpf: bool,
}

/// The sub-command `filter`.
pub(crate) fn command() -> Command {
    let expr = Arg::new("expr").value_name("EXPR").required(true);
    let file = Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf));
    let backend = Arg::new("backend").long("backend").value_name("NAME").default_value("interpreter");
    let backend = backend.value_parser(["interpreter", "bpf"]);
    let test = Command::new("test")
        .about("Print the numbers of the packets in a capture file that match a filter, one a line")
        .arg(expr.help("The filter, which can be about packets only"))
        .arg(file.help("The capture file, pcap or pcapng"))
        .arg(backend.help("What asks: the one for stored traces, or a program in this kernel, as root"));
    let command = Command::new("filter").about("Try a filter out").subcommand_required(true).subcommand(test);
    #[cfg(target_os = "linux")]
    let command = command.subcommand(crate::explain::command());
    command
}

/// What the words behind the sub-command `name` ask for; `None` if it is another's.
pub(crate) fn asked(name: &str, matches: &ArgMatches) -> Option<Asked> {
    let (_, matches) = matches.subcommand().filter(|(sub, _)| name == "filter" && *sub == "test")?;
    let text = matches.get_one::<String>("expr")?.clone();
    let bpf = matches.get_one::<String>("backend")?.as_str() == "bpf";
    Some(Asked { text, file: matches.get_one::<PathBuf>("file")?.clone(), bpf })
}

impl Asked {
    /// The filter, compiled.
    pub(crate) fn filter(&self) -> Result<(Filter, PacketFilter), Diagnostics> {
        let place = SourceRef::new(SourceRef::COMMAND_LINE, self.text.clone(), 0..self.text.len());
        let filter: Filter = self.text.parse().map_err(|found: Diagnostics| found.rebase(&place))?;
        let compiled = PacketFilter::new(&filter).map_err(|found| Diagnostics::from(found.rebase(&place)))?;
        Ok((filter, compiled))
    }
}

/// Prints the numbers, which count from 1 as Wireshark's and `tcpdump -#`'s do.
pub(crate) fn run(asked: &Asked) -> Exit {
    let backend = match asked.filter() {
        Ok((filter, compiled)) => {
            if !filter.warnings.is_empty() {
                warn_of(&filter.warnings);
            }
            match asked.bpf {
                true => match in_kernel(&filter) {
                    Ok(backend) => backend,
                    Err(exit) => return exit,
                },
                false => Backend::Interpreter(compiled),
            }
        }
        Err(diagnostics) => return complain_of(&diagnostics),
    };
    match matching(&backend, &asked.file) {
        Ok(text) => printed(&text),
        Err(error) => complain(&format!("error: {error}"), Exit::Failed),
    }
}

/// Who is asked.
enum Backend {
    Interpreter(PacketFilter),
    #[cfg(target_os = "linux")]
    Kernel(PacketProgram),
}

#[cfg(target_os = "linux")]
fn in_kernel(filter: &Filter) -> Result<Backend, Exit> {
    PacketProgram::load(filter).map(Backend::Kernel).map_err(|error| {
        let exit = if error.class() == Class::Host { Exit::Host } else { Exit::Failed };
        complain(&format!("error: {error}"), exit)
    })
}

#[cfg(not(target_os = "linux"))]
fn in_kernel(_: &Filter) -> Result<Backend, Exit> {
    Err(complain("error: `--backend bpf` needs a Linux kernel", Exit::Host))
}

impl Backend {
    fn matches(&self, capture: &Capture<'_>) -> Result<bool, ReadError> {
        match self {
            Backend::Interpreter(filter) => Ok(filter.matches(capture)),
            #[cfg(target_os = "linux")]
            Backend::Kernel(program) => Ok(program.matches(capture)?),
        }
    }
}

/// Why a capture file was not read to its end.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("cannot read {}: {error}", file.display())]
    Open { file: PathBuf, error: std::io::Error },
    #[error("{} is no pcap or pcapng file, or is damaged: {reason}", file.display())]
    Format { file: PathBuf, reason: String },
    #[error(
        "{}: packet {number} is of link type {link}; filters know Ethernet ({ETHERNET}) and raw IP ({RAW})",
        file.display()
    )]
    Link { file: PathBuf, number: u64, link: u32 },
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Kernel(#[from] PacketProgramError),
}

/// The greatest block that is read, in bytes: libpcap takes packets of 256 KiB.
const BLOCK_MAX: usize = 1 << 20;

fn matching(filter: &Backend, path: &Path) -> Result<String, ReadError> {
    let damaged = |reason: String| ReadError::Format { file: path.to_owned(), reason };
    let file = File::open(path).map_err(|error| ReadError::Open { file: path.to_owned(), error })?;
    let mut reader = create_reader(BLOCK_MAX, file).map_err(|error| damaged(words(&error)))?;
    let (mut out, mut number) = (String::new(), 0);
    // Those of the interfaces, in their order; a pcap file has one.
    let mut links: Vec<u32> = Vec::new();
    let mut refilled = 0;
    loop {
        let (consumed, block) = match reader.next() {
            Ok(next) => next,
            Err(PcapError::Eof) => return Ok(out),
            // Asked twice for the same bytes, there are no more.
            Err(PcapError::Incomplete(_)) if refilled < 2 => {
                refilled += 1;
                reader.refill().map_err(|error| damaged(words(&error)))?;
                continue;
            }
            Err(error) => return Err(damaged(words(&error))),
        };
        refilled = 0;
        let mut test = |link: Option<u32>, bytes: &[u8], original: u32| {
            number += 1;
            match link {
                Some(link @ (ETHERNET | RAW)) => {
                    let capture = Capture { bytes, link, ethertype: 0, tag: None, original };
                    if filter.matches(&capture)? {
                        out += &format!("{number}\n");
                    }
                    Ok(())
                }
                link => Err(ReadError::Link { file: path.to_owned(), number, link: link.unwrap_or(0) }),
            }
        };
        match block {
            PcapBlockOwned::LegacyHeader(header) => links = vec![link(header.network.0)],
            PcapBlockOwned::Legacy(packet) => {
                let bytes = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
                test(links.first().copied(), bytes, packet.origlen)?;
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => links.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                links.push(link(interface.linktype.0));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let link = links.get(packet.if_id as usize).copied();
                test(link, packet.packet_data(), packet.origlen)?;
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                test(links.first().copied(), packet.packet_data(), packet.origlen)?;
            }
            PcapBlockOwned::NG(_) => {}
        }
        reader.consume(consumed);
    }
}

/// The upper bits of a link type say other things.
fn link(network: i32) -> u32 {
    network.cast_unsigned() & 0xffff
}

/// An error's words, without the bytes that it was found at.
fn words(error: &PcapError<&[u8]>) -> String {
    match error {
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => "it ends within a packet".to_owned(),
        PcapError::BufferTooSmall => format!("a packet takes more than {BLOCK_MAX} bytes"),
        PcapError::HeaderNotRecognized => "its first bytes say neither".to_owned(),
        PcapError::ReadError => "reading failed".to_owned(),
        _ => "a block makes no sense".to_owned(),
    }
}
