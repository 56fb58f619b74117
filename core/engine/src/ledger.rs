//! Changes of the system: none without consent, each of them undone, and none that would outlive
//! the process. What a collector needs is declared in its manifest; what is done about it is here,
//! for any collector.

use std::collections::BTreeSet;

use tracer_compose::{Fragment, Need};
use tracer_dsl::probe::ProbeSpec;
use tracer_kernel::{
    Symbols, btf,
    nft::{ArmError, Form, TraceSwitch, own_table_name, trace_enabled, trace_rules},
};

use crate::{error::Error, notice::Notice, types::Types};

/// The function that nftables calls for each rule while tracing is on.
const TRACED: &str = "__nft_trace_packet";

/// The module that it is in, where it is not built in.
const MODULE: &str = "nf_tables";

/// What was changed, so that it can be undone.
#[derive(Debug, Default)]
pub struct Ledger {
    consent: bool,
    trace: Option<TraceSwitch>,
    off: bool,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(consent: bool) -> Self {
        Self { consent, trace: None, off: false }
    }

    /// Before planning: what must be there for the plan to find it.
    pub fn prepare(
        &self,
        collectors: &[&Fragment],
        probes: &[ProbeSpec],
        types: &mut Types,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<(), Error> {
        let needs_nft = collectors.iter().any(|f| f.manifest.needs.contains(&Need::NftTrace));
        // A trace of other functions, with all collectors by default, is no reason to want nftables.
        let traces =
            probes.iter().flat_map(|spec| &spec.alternatives).any(|p| p.value.target.as_str() == TRACED);
        if !needs_nft || !traces {
            return Ok(());
        }
        match types.function(TRACED)? {
            // Types out of a file do not say that the module is there.
            Some(traced) if !traced.from_file || btf::module_present(MODULE) => return Ok(()),
            None if btf::module_present(MODULE) || !describes_modules() => return Err(no_types()),
            _ => {}
        }
        if !self.consent {
            return Err(Error::Missing {
                message: "no nftables here: module nf_tables is not loaded, so nftables judges no packet".to_owned(),
                help: "it is loaded with the first table; --allow-system-changes loads it now, and it stays loaded"
                    .to_owned(),
            });
        }
        // Creating a table loads the module; the table itself comes later, when all is attached.
        TraceSwitch::arm(&own_table_name())
            .map_err(refused)?
            .disarm()
            .map_err(|error| Error::System { what: "cannot remove the nftables table again", error })?;
        notify(Notice::Changed("loaded module nf_tables, which stays loaded".to_owned()));
        types.function(TRACED)?.map(|_| ()).ok_or_else(no_types)
    }

    /// After attaching: makes the kernel call what is traced, or says that it does not.
    pub fn arm(
        &mut self,
        needs: &BTreeSet<Need>,
        symbols: &Symbols,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<(), Error> {
        if !needs.contains(&Need::NftTrace) {
            return Ok(());
        }
        if self.consent {
            let switch = TraceSwitch::arm(&own_table_name()).map_err(refused)?;
            let end = match switch.form() {
                Form::Owned => "it goes away with tracer",
                Form::Plain => "tracer removes it; this kernel (before 5.12) cannot do so by itself",
            };
            let table = switch.table();
            notify(Notice::Changed(format!(
                "made nftables table {table}, which sees no packet and switches rule tracing on; {end}"
            )));
            self.trace = Some(switch);
        } else if !tracing_is_on(symbols) {
            self.off = true;
            notify(Notice::Hint {
                message: "nft: nothing will be seen: the kernel tells of verdicts only while a rule with \
                          `meta nftrace set` exists, and there is none"
                    .to_owned(),
                help: vec![
                    "add --allow-system-changes: tracer makes one, which sees no packet and goes away with tracer"
                        .to_owned(),
                    "or make one yourself, in any table: nft add rule TABLE CHAIN meta nftrace set 1".to_owned(),
                ],
            });
        }
        Ok(())
    }

    /// Whether the run began without anything that switches rule tracing on.
    pub fn tracing_is_off(&self) -> bool {
        self.off
    }

    /// Undoes everything. Dropping the ledger does so too, but cannot say what failed.
    pub fn undo(&mut self) -> Result<(), Error> {
        match self.trace.take() {
            None => Ok(()),
            Some(switch) => switch.disarm().map_err(|error| Error::System {
                what: "cannot remove the nftables table by name; the kernel removes it as tracer ends",
                error,
            }),
        }
    }
}

/// Whether some rule, in any namespace, has switched tracing on. Where the kernel's own switch
/// cannot be read, rules of this namespace must do.
fn tracing_is_on(symbols: &Symbols) -> bool {
    match trace_enabled(symbols) {
        Ok(Some(on)) => on,
        _ => trace_rules().unwrap_or(false),
    }
}

/// Whether this kernel has types of modules: loading one that it has none of helps nobody.
fn describes_modules() -> bool {
    !btf::modules().is_empty() || btf::modules_loaded().is_ok_and(|loaded| loaded.is_empty())
}

/// A module that is there, on a kernel that does not describe the types of modules.
fn no_types() -> Error {
    Error::Missing {
        message: "this kernel does not describe the types of its module nf_tables (5.11, \
                  CONFIG_DEBUG_INFO_BTF_MODULES), so nobody knows where a rule's handle or a chain's name stands"
            .to_owned(),
        help: "give a description that was made for this very kernel: --btf nf_tables=PATH (`pahole -J` makes one \
               out of the module's debug information)"
            .to_owned(),
    }
}

fn refused(error: ArmError) -> Error {
    match error {
        ArmError::NoSubsystem => Error::Missing {
            message: "no nftables here: this kernel has no nf_tables".to_owned(),
            help: "packets may be dropped by legacy iptables or elsewhere; trace those without `nft`"
                .to_owned(),
        },
        ArmError::Permission { .. } => Error::Privileges { missing: "CAP_NET_ADMIN".to_owned() },
        other => Error::Change(other.to_string()),
    }
}
