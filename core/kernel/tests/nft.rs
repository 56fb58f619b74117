//! The trace switch against the running kernel, in a network namespace of the test's own: the host's rules
//! are never touched. `nft` is the witness. Says SKIPPED on stderr where something is missing.
#![expect(clippy::unwrap_used, reason = "tests state their expectations by unwrapping")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, set_capabilities};
use tracer_kernel::netns::NetNs;
use tracer_kernel::nft::{ArmError, Form, NftError, TraceSwitch, own_table_name, trace_rules};
use tracer_kernel::{Capabilities, Capability};

const NFT: &str = "/usr/sbin/nft";

/// Runs a test in a new network namespace on a thread of its own; the namespace ends with the thread.
fn in_own_namespace(test: &str, body: impl FnOnce() + Send + 'static) {
    let own = Capabilities::of_this_thread().unwrap();
    let missing = own.missing(&[Capability::SysAdmin, Capability::NetAdmin]);
    if !missing.is_empty() || !std::path::Path::new(NFT).exists() {
        eprintln!("SKIPPED {test}: missing {missing:?}, or there is no {NFT}");
        return;
    }
    let host = NetNs::of_this_thread().unwrap();
    let thread = std::thread::spawn(move || {
        // SAFETY: only the network namespace of this thread changes; no file descriptor table is shared or
        // split.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        let own = NetNs::of_this_thread().unwrap();
        assert_ne!(own.inum, host.inum);
        if let (Some(own), Some(host)) = (own.cookie, host.cookie) {
            assert_ne!(own, host);
        }
        body();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// `nft` with these words, in the calling thread's namespace.
fn nft(words: &str) -> String {
    let output = Command::new(NFT).args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "nft {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn armed_and_disarmed() {
    in_own_namespace("armed_and_disarmed", || {
        assert!(!trace_rules().unwrap());
        let name = own_table_name();
        let switch = TraceSwitch::arm(&name).unwrap();
        let rules = nft("list ruleset");
        println!("{rules}");
        assert!(rules.contains(&format!("table inet {name} {{")), "{rules}");
        assert!(rules.contains("meta nftrace set 0"), "{rules}");
        assert!(!rules.contains("hook"), "{rules}");
        assert_eq!(switch.table(), format!("inet {name}"));
        if switch.form() == Form::Owned {
            assert!(rules.contains("flags owner"), "{rules}");
        } else {
            eprintln!("this kernel knows no table owners: the plain form was tested");
        }
        assert!(trace_rules().unwrap());
        assert!(matches!(TraceSwitch::arm(&name), Err(ArmError::NameTaken { .. })));
        // Someone else's flush leaves an owned table alone.
        nft("flush ruleset");
        assert_eq!(trace_rules().unwrap(), switch.form() == Form::Owned);
        switch.disarm().unwrap();
        assert_eq!(nft("list ruleset"), "");
        assert!(!trace_rules().unwrap());
    });
}

#[test]
fn dropping_disarms() {
    in_own_namespace("dropping_disarms", || {
        let switch = TraceSwitch::arm("dropped_1").unwrap();
        assert!(nft("list tables").contains("dropped_1"));
        drop(switch);
        assert_eq!(nft("list tables"), "");
    });
}

#[test]
fn leftovers_of_the_dead_are_removed() {
    in_own_namespace("leftovers_of_the_dead_are_removed", || {
        // Beyond pid_max (2^22), so surely dead; 1 lives.
        for table in ["tracer_4194305", "tracer_1", "tracer_x", "other_4194305"] {
            nft(&format!("add table inet {table}"));
            nft(&format!("add chain inet {table} switch"));
        }
        // A dead number, but not our form: it holds more than one chain.
        nft("add table ip tracer_4194306");
        nft("add chain ip tracer_4194306 a");
        nft("add chain ip tracer_4194306 b");
        let switch = TraceSwitch::arm(&own_table_name()).unwrap();
        let tables = nft("list tables");
        assert!(!tables.contains("tracer_4194305"), "{tables}");
        for kept in ["tracer_1", "tracer_x", "other_4194305", "tracer_4194306", &own_table_name()] {
            assert!(tables.lines().any(|line| line.ends_with(&format!(" {kept}"))), "{kept}: {tables}");
        }
        drop(switch);
    });
}

#[test]
fn a_bad_name_is_refused_before_the_kernel() {
    assert!(matches!(TraceSwitch::arm(""), Err(ArmError::BadName { .. })));
    assert!(matches!(TraceSwitch::arm(&"x".repeat(256)), Err(ArmError::BadName { .. })));
}

#[test]
fn one_rule_among_many_is_found() {
    in_own_namespace("one_rule_among_many_is_found", || {
        nft("add table inet t");
        nft("add chain inet t c");
        nft(&["add rule inet t c meta mark set 1 counter"; 1000].join("; "));
        assert!(!trace_rules().unwrap());
        nft("add table ip6 u");
        nft("add chain ip6 u c");
        nft("add rule ip6 u c tcp dport 80 meta nftrace set 1");
        assert!(trace_rules().unwrap());
    });
}

#[test]
fn without_net_admin_it_is_named() {
    in_own_namespace("without_net_admin_it_is_named", || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, sets).unwrap();
        let error = TraceSwitch::arm(&own_table_name()).unwrap_err();
        assert!(matches!(error, ArmError::Permission { .. }), "{error}");
        assert!(matches!(trace_rules(), Err(NftError::Permission)));
    });
}

const CHILD: &str = "TRACER_KERNEL_TEST_CHILD";

/// Not a test by itself: what the next one starts and kills.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_some() {
        let switch = TraceSwitch::arm(&own_table_name()).unwrap();
        println!("\narmed {} {:?}", switch.table(), switch.form());
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}

#[test]
fn a_killed_process_leaves_nothing() {
    in_own_namespace("a_killed_process_leaves_nothing", || {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let armed = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("armed ")?.to_owned()));
        let tables = nft("list tables");
        child.kill().unwrap();
        child.wait().unwrap();
        let armed = armed.unwrap();
        assert!(tables.contains(&format!("inet tracer_{}", child.id())), "{armed}: {tables}");
        if armed.ends_with("Owned") {
            assert_eq!(nft("list tables"), "");
        } else {
            eprintln!("this kernel knows no table owners: the next arm removes the table");
            drop(TraceSwitch::arm(&own_table_name()).unwrap());
            assert_eq!(nft("list tables"), "");
        }
    });
}
