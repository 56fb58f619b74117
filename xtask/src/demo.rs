//! `demo`: the main job on a real drop, for somebody who has just cloned this. It runs the case in `tests/vm/demo.case`:
//! here if this kernel can trace it, in namespaces of its own; else in a virtual machine.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};

use crate::vm::{Case, Frame, Kernel, Outcome, Payload, Scratch, Version};
use crate::{command, place, setup, test, vm};

/// The case that is shown.
const CASE: &str = "demo";

/// Kernels for the virtual machine, first choice first.
const KERNELS: [&str; 2] = ["6.12", "6.1"];

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let tracer = test::build()?;
    let case =
        Case::all()?.into_iter().find(|case| case.name == CASE).context("tests/vm/demo.case is missing")?;
    let scratch = Scratch::new()?;
    let outcome = match lacking() {
        None => {
            println!("== demo: on this machine, in network namespaces of its own");
            on_this_machine(&tracer, &case, &scratch)
        }
        Some(reason) => {
            println!("== demo: in a virtual machine, because {reason}");
            in_a_guest(&tracer, &case, &scratch)
        }
    };
    scratch.remove();
    show(&case, &outcome?)
}

/// Why the demo cannot run on this kernel, if it cannot.
fn lacking() -> Option<&'static str> {
    if !place::is_root() {
        return Some("only root may trace");
    }
    // Without kprobes there is no certain way to be called; a kernel that has them has all the rest.
    if !Path::new("/sys/bus/event_source/devices/kprobe").exists() {
        return Some("this kernel has no kprobes");
    }
    let mut unshare = match command::program("unshare") {
        Ok(unshare) => unshare,
        Err(_) => return Some("`unshare` is not installed"),
    };
    let works = command::program("nft").and_then(|nft| {
        command::quiet(unshare.args(["--net", "--mount"]).arg(nft.get_program()).args([
            "add",
            "table",
            "tracer_demo",
        ]))
    });
    works.is_err().then_some("nftables does not work here in a network namespace of its own")
}

fn on_this_machine(tracer: &Path, case: &Case, scratch: &Scratch) -> Result<Outcome> {
    let folder = scratch.fresh("demo")?;
    vm::write_payload(&Payload { tracer, cases: std::slice::from_ref(case) }, &folder)?;
    let busybox =
        setup::busybox().context("a static busybox is not installed: `cargo xtask setup` installs it")?;
    let outside =
        fs::read_link("/proc/self/ns/net").context("cannot tell which network namespace this is")?;
    // The same scripts as in a guest, in a network namespace and a mount namespace that vanish with them.
    let mut runner = command::program("setpriv")?
        .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--propagation", "private"])
        .arg(busybox)
        .arg("sh")
        .arg(folder.join("runner.sh"))
        .env("NETNS_OUTSIDE", outside)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start `unshare`")?;
    let frames = vm::listen(runner.stdout.take().context("the runner was started without an output")?);
    let mut outcome = Outcome::default();
    let mut whole = false;
    for frame in frames {
        match frame {
            Frame::File { name, bytes } => outcome.add(&name, &bytes),
            Frame::Done => whole = true,
            Frame::Ready | Frame::Begin(_) | Frame::End => {}
        }
    }
    let status = runner.wait()?;
    ensure!(whole, "the demo's script ended early: {status}");
    Ok(outcome)
}

fn in_a_guest(tracer: &Path, case: &Case, scratch: &Scratch) -> Result<Outcome> {
    setup::architecture()?;
    let mut refusals = Vec::new();
    for name in KERNELS {
        let kernel = match Kernel::cached(Version::named(name)?) {
            Ok(kernel) => kernel,
            Err(error) => {
                println!("   {error:#}");
                refusals.push(format!("{error:#}"));
                continue;
            }
        };
        let mut outcome = Outcome::default();
        vm::in_guest(&kernel, tracer, vec![case.clone()], scratch, |_, seen| outcome = seen);
        return Ok(outcome);
    }
    bail!("there is no kernel for the virtual machine: {}", refusals.join("; "))
}

fn show(case: &Case, seen: &Outcome) -> Result<()> {
    let part = |title: &str, text: &str| println!("\n-- {title}\n{}", text.trim_end());
    part("the ruleset: nft -a list ruleset", &seen.ruleset);
    part("the tracer", case.script("tracer"));
    part("the traffic", case.script("traffic"));
    part("what the tracer said", &seen.stderr);
    part("what the tracer saw", &seen.stdout);
    println!();
    let complaints = seen.complaints(case);
    if complaints.is_empty() {
        println!("the dropped packet, the rule that dropped it and its handle are there: the demo works");
        return Ok(());
    }
    println!("{}", seen.details());
    bail!("the demo does not show what it should: {}", complaints.join("; "))
}
