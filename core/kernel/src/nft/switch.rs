//! The table that switches tracing on. It belongs to our socket where the kernel can do that (5.12), so the
//! kernel itself takes it away when we are gone, SIGKILL included; on older kernels it is a plain table,
//! taken away by us.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;

use super::batch::{Batch, find, number, text};
use super::socket::Nfnetlink;
use super::uapi::*;

/// The name a tracer gives its table: it carries the process id, so two runs do not meet.
pub fn own_table_name() -> String {
    format!("tracer_{}", std::process::id())
}

/// Holds the trace call switched on, for all network namespaces, until dropped.
pub struct TraceSwitch {
    socket: Nfnetlink,
    name: String,
    family: u8,
    form: Form,
    armed: bool,
}

/// How the table goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With our socket, by the kernel, whatever happens to us (5.12).
    Owned,
    /// By us, when disarmed or dropped; after a SIGKILL by the next [`TraceSwitch::arm`].
    Plain,
}

impl TraceSwitch {
    /// Creates the table `name` in the calling thread's network namespace: family inet (ip where there is no
    /// inet), one chain without a hook, one rule, `meta nftrace set 0`. Removes plain tables that a dead
    /// process left: those named as this one up to the process id at the end. Use [`own_table_name`].
    ///
    /// Where nf_tables is a module that is not loaded, this loads it.
    ///
    /// # Errors
    ///
    /// [`ArmError`]; nothing was created then.
    pub fn arm(name: &str) -> Result<TraceSwitch, ArmError> {
        // NFT_NAME_MAXLEN is 256 with the zero.
        if name.is_empty() || name.len() > 255 || name.contains('\0') {
            return Err(ArmError::BadName { name: name.to_owned() });
        }
        let mut socket = Nfnetlink::open().map_err(|errno| match errno.raw_os_error() {
            Some(libc::EPROTONOSUPPORT) => ArmError::NoSubsystem,
            _ => ArmError::Socket { errno },
        })?;
        remove_stale(&mut socket, name);

        let mut family = NFPROTO_INET;
        let mut form = Form::Owned;
        loop {
            match socket.commit(|batch| create(batch, name, family, form)) {
                Ok(()) => {
                    return Ok(TraceSwitch { socket, name: name.to_owned(), family, form, armed: true });
                }
                Err((place, errno)) => match next_try(place, &errno, family, form) {
                    Some(next) => (family, form) = next,
                    None => return Err(ArmError::of(name, place, errno)),
                },
            }
        }
    }

    /// Whether the kernel removes the table by itself.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Family and name as `nft` takes them, such as `inet tracer_4711`.
    pub fn table(&self) -> String {
        let family = if self.family == NFPROTO_INET { "inet" } else { "ip" };
        format!("{family} {}", self.name)
    }

    /// Removes the table and says if that failed; the owned form then still goes with the socket, which is
    /// closed here.
    ///
    /// # Errors
    ///
    /// The kernel's answer. A table that somebody else removed is no error.
    pub fn disarm(mut self) -> io::Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.armed) {
            return Ok(());
        }
        delete(&mut self.socket, self.family, &self.name)
    }
}

impl Drop for TraceSwitch {
    fn drop(&mut self) {
        // Nobody is left to tell; the owned form is removed by the kernel when the socket closes, right after
        // this.
        let _ = self.remove();
    }
}

impl fmt::Debug for TraceSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceSwitch")
            .field("table", &self.table())
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

/// Why tracing was not switched on.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// nf_tables takes 1 to 255 characters.
    #[error("{name:?} cannot be a table's name")]
    BadName {
        /// The name.
        name: String,
    },
    /// The kernel has no nf_tables.
    #[error("this kernel has no nf_tables")]
    NoSubsystem,
    /// CAP_NET_ADMIN is missing in the user namespace that owns this network namespace.
    #[error("cannot create nftables table {name}: CAP_NET_ADMIN is missing")]
    Permission {
        /// The table's name.
        name: String,
    },
    /// A table of that name is there.
    #[error("there is an nftables table {name} already")]
    NameTaken {
        /// The table's name.
        name: String,
    },
    /// No socket to talk through.
    #[error("cannot open a netlink socket: {errno}")]
    Socket {
        /// The kernel's answer.
        errno: io::Error,
    },
    /// Anything else.
    #[error("cannot create the {step} of nftables table {name}: {errno}")]
    Refused {
        /// The table's name.
        name: String,
        /// `table`, `chain`, `rule`, or `transaction`.
        step: &'static str,
        /// The kernel's answer.
        errno: io::Error,
    },
}

impl ArmError {
    fn of(name: &str, place: Option<u32>, errno: io::Error) -> ArmError {
        let name = name.to_owned();
        let step = place.and_then(|place| STEPS.get(place as usize)).copied().unwrap_or("transaction");
        match (place, errno.raw_os_error()) {
            (None, Some(libc::EPERM | libc::EACCES)) => ArmError::Permission { name },
            (None, Some(libc::EOPNOTSUPP | libc::EINVAL)) => ArmError::NoSubsystem,
            // Privileges are asked for before any message is looked at; EPERM at the table means that it is
            // there and another socket owns it (nft_table_lookup() in net/netfilter/nf_tables_api.c).
            (Some(TABLE), Some(libc::EEXIST | libc::EPERM)) => ArmError::NameTaken { name },
            _ => ArmError::Refused { name, step, errno },
        }
    }
}

const STEPS: [&str; 3] = ["table", "chain", "rule"];
/// The table's place in `STEPS`.
const TABLE: u32 = 0;
const CHAIN: &str = "switch";

/// The three messages of `STEPS`.
fn create(batch: &mut Batch, name: &str, family: u8, form: Form) {
    batch.nft(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, family, |table| {
        table.text(NFTA_TABLE_NAME, name);
        let flags = if form == Form::Owned { NFT_TABLE_F_OWNER } else { 0 };
        table.number(NFTA_TABLE_FLAGS, flags);
    });
    batch.nft(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, family, |chain| {
        chain.text(NFTA_CHAIN_TABLE, name);
        chain.text(NFTA_CHAIN_NAME, CHAIN);
    });
    batch.nft(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, family, |rule| {
        rule.text(NFTA_RULE_TABLE, name);
        rule.text(NFTA_RULE_CHAIN, CHAIN);
        rule.nest(NFTA_RULE_EXPRESSIONS, |list| {
            list.nest(NFTA_LIST_ELEM, |immediate| {
                immediate.text(NFTA_EXPR_NAME, "immediate");
                immediate.nest(NFTA_EXPR_DATA, |data| {
                    data.number(NFTA_IMMEDIATE_DREG, NFT_REG_1);
                    // One byte, which is how wide nftrace is; 0, so that even a packet sent here would stay
                    // unmarked.
                    data.nest(NFTA_IMMEDIATE_DATA, |value| value.raw(NFTA_DATA_VALUE, &[0]));
                });
            });
            list.nest(NFTA_LIST_ELEM, |meta| {
                meta.text(NFTA_EXPR_NAME, "meta");
                meta.nest(NFTA_EXPR_DATA, |data| {
                    data.number(NFTA_META_KEY, NFT_META_NFTRACE);
                    data.number(NFTA_META_SREG, NFT_REG_1);
                });
            });
        });
    });
}

/// What to try after a refusal: without the owner flag, which kernels before 5.12 answer with EINVAL (and
/// later ones would with EOPNOTSUPP, as for any flag they do not know); with family ip, where there is no
/// inet.
fn next_try(place: Option<u32>, errno: &io::Error, family: u8, form: Form) -> Option<(u8, Form)> {
    match (errno.raw_os_error(), form) {
        (Some(libc::EINVAL | libc::EOPNOTSUPP), Form::Owned) if place == Some(TABLE) => {
            Some((family, Form::Plain))
        }
        (Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP), _) if place.is_some() && family == NFPROTO_INET => {
            Some((NFPROTO_IPV4, Form::Owned))
        }
        _ => None,
    }
}

fn delete(socket: &mut Nfnetlink, family: u8, name: &str) -> io::Result<()> {
    let deleted = socket.commit(|batch| {
        batch.nft(NFT_MSG_DELTABLE, NLM_F_ACK, family, |table| table.text(NFTA_TABLE_NAME, name));
    });
    match deleted {
        Err((_, errno)) if errno.raw_os_error() != Some(libc::ENOENT) => Err(errno),
        _ => Ok(()),
    }
}

/// Removes what dead processes left of the plain form. Failing is no reason not to arm: a leftover switches
/// the same switch and does nothing else. A process id is looked up in our own pid namespace: on kernels
/// before 5.12 two tracers in one network namespace and different pid namespaces can take each other's table
/// for a leftover.
fn remove_stale(socket: &mut Nfnetlink, name: &str) {
    let Some((prefix, own)) = split(name) else { return };
    let mut stale = BTreeSet::new();
    let listed = socket.dump(NFT_MSG_GETTABLE, |table| {
        let named = |kind| find(table.attributes(), kind);
        let Some(found) = named(NFTA_TABLE_NAME).and_then(text) else { return };
        let owned =
            named(NFTA_TABLE_FLAGS).and_then(number).is_some_and(|flags| flags & NFT_TABLE_F_OWNER != 0);
        // Ours hold one chain and nothing else (`use` counts chains, sets and objects).
        let small = named(NFTA_TABLE_USE).and_then(number) == Some(1);
        let dead = |pid| pid == own || !Path::new("/proc").join(pid).exists();
        if !owned && small && split(found).is_some_and(|(start, pid)| start == prefix && dead(pid)) {
            stale.insert((table.family(), found.to_owned()));
        }
    });
    if listed.is_ok() {
        for (family, name) in stale {
            let _ = delete(socket, family, &name);
        }
    }
}

/// `tracer_4711` as `tracer_` and `4711`.
fn split(name: &str) -> Option<(&str, &str)> {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (prefix, pid) = name.split_at(name.len() - digits);
    (prefix.ends_with('_') && !pid.is_empty()).then_some((prefix, pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_before_the_process_id() {
        assert_eq!(split("tracer_4711"), Some(("tracer_", "4711")));
        assert_eq!(split("tracer_"), None);
        assert_eq!(split("4711"), None);
        assert!(split(&own_table_name()).is_some());
    }

    #[test]
    fn refusals_lead_to_the_next_form_or_to_a_reason() {
        let errno = io::Error::from_raw_os_error;
        let plain = Some((NFPROTO_INET, Form::Plain));
        assert_eq!(next_try(Some(TABLE), &errno(libc::EINVAL), NFPROTO_INET, Form::Owned), plain);
        assert_eq!(next_try(Some(TABLE), &errno(libc::EINVAL), NFPROTO_INET, Form::Plain), None);
        let ip = Some((NFPROTO_IPV4, Form::Owned));
        assert_eq!(next_try(Some(TABLE), &errno(libc::EAFNOSUPPORT), NFPROTO_INET, Form::Owned), ip);
        assert_eq!(next_try(Some(2), &errno(libc::EOPNOTSUPP), NFPROTO_INET, Form::Plain), ip);
        assert_eq!(next_try(None, &errno(libc::EOPNOTSUPP), NFPROTO_INET, Form::Owned), None);
        assert_eq!(next_try(Some(TABLE), &errno(libc::EPERM), NFPROTO_INET, Form::Owned), None);

        let reason = |place, number| ArmError::of("t", place, errno(number)).to_string();
        assert_eq!(reason(None, libc::EOPNOTSUPP), "this kernel has no nf_tables");
        assert_eq!(reason(None, libc::EPERM), "cannot create nftables table t: CAP_NET_ADMIN is missing");
        assert_eq!(reason(Some(0), libc::EEXIST), "there is an nftables table t already");
        assert_eq!(reason(Some(0), libc::EPERM), "there is an nftables table t already");
        assert!(reason(Some(2), libc::ENOENT).starts_with("cannot create the rule of nftables table t: "));
    }
}
