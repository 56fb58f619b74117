//! Why a run did not happen. What a user wrote wrongly comes as diagnostics; what the host lacks
//! says what is missing and what to do.

use std::{io, path::PathBuf};

use tracer_bpf::BtfError;
use tracer_compose::{CatalogError, FragmentError};
use tracer_dsl::Diagnostics;
use tracer_kernel::MapError;

use crate::types::{BtfFileError, TypesError};

/// A failed run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A signal came before tracing had begun.
    #[error("interrupted before tracing began")]
    Interrupted,
    /// Something that the user wrote.
    #[error(transparent)]
    Diagnostics(#[from] Diagnostics),
    /// The collectors that are linked in do not fit together.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Privileges.
    #[error("tracing needs {missing}: run as root")]
    Privileges {
        /// The capabilities that are missing, as words.
        missing: String,
    },
    /// Full privileges that are a container's only.
    #[error(
        "tracing needs privileges on the machine, and this is root in a user namespace (a rootless \
         container) only: run tracer on the host, or in a container that is started by the host's root"
    )]
    UserNamespace,
    /// The kernel's BTF.
    #[error(
        "{0}\n  = help: tracing needs a kernel with CONFIG_DEBUG_INFO_BTF; distribution kernels have it since 5.10"
    )]
    Types(#[from] TypesError),
    /// `--btf`.
    #[error(transparent)]
    BtfFile(#[from] BtfFileError),
    /// nf_tables is not there.
    #[error("{message}\n  = help: {help}")]
    Missing {
        /// What is missing, and for what.
        message: String,
        /// What to do.
        help: String,
    },
    /// No way of attaching a probe worked.
    #[error("cannot attach {probe}:{}{}", list(tried), help.map(|h| format!("\n  = help: {h}")).unwrap_or_default())]
    Attach {
        /// The probe.
        probe: String,
        /// What to do, where something can be done.
        help: Option<&'static str>,
        /// Each way that was tried, with the reason why it failed.
        tried: Vec<(String, String)>,
    },
    /// A collector that this kernel or machine does not permit to do what it is for.
    #[error(
        "collector {collector} cannot be used here: {reason}\n  = help: it needs hooks that miss nothing, by BPF \
         trampolines (fentry); the other collectors do without: name them with `-c`"
    )]
    Collector {
        /// The collector.
        collector: String,
        /// Its number in the plan.
        number: usize,
        /// Why.
        reason: String,
    },
    /// A plugin that this kernel does not take.
    #[error(
        "plugin {collector} is refused: {reason}\n  = help: `tracer plugin check` with its folder says all; without it: \
         `--no-plugins`, or other collectors with `-c`"
    )]
    Plugin {
        /// The collector.
        collector: String,
        /// Why.
        reason: String,
    },
    /// A fragment that does not fit this kernel.
    #[error("collector {collector}: {error}")]
    Link {
        /// The collector.
        collector: String,
        /// What is wrong.
        error: FragmentError,
    },
    /// The kernel's types as a slice.
    #[error("the kernel's type information: {0}")]
    Btf(#[from] BtfError),
    /// The event ring or another map.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A system change that was consented to and failed.
    #[error("{0}")]
    Change(String),
    /// The ready file.
    #[error("cannot create the ready file {}: {error}", path.display())]
    ReadyFile {
        /// The path given.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// `--cmd`.
    #[error("cannot run the command `{command}`: {error}")]
    Command {
        /// The command given.
        command: String,
        /// The system's answer.
        error: io::Error,
    },
    /// Writing events.
    #[error("cannot write events: {0}")]
    Output(io::Error),
    /// The system refuses something that a run cannot do without.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        error: io::Error,
    },
}

fn list(tried: &[(String, String)]) -> String {
    tried.iter().map(|(way, reason)| format!("\n  by {way}: {reason}")).collect()
}

/// What an error means for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Ended by a signal, in order.
    Ended,
    /// Something failed.
    Failed,
    /// The command line or a profile is wrong.
    Usage,
    /// The host lacks something.
    Host,
}

impl Error {
    /// The class.
    pub fn class(&self) -> Class {
        match self {
            Self::Interrupted => Class::Ended,
            Self::Diagnostics(_) | Self::BtfFile(_) => Class::Usage,
            Self::Privileges { .. }
            | Self::UserNamespace
            | Self::Types(_)
            | Self::Missing { .. }
            | Self::Attach { .. }
            | Self::Plugin { .. }
            | Self::Collector { .. } => Class::Host,
            _ => Class::Failed,
        }
    }
}
