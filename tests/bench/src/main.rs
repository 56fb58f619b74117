//! What a hit costs: the time that the kernel counts for tracer's programs, next to programs that do nothing, walk the
//! stack, or copy bytes, on the same packets. `cargo xtask bench kernel` runs it in a virtual machine, where
//! `tests/bench/kernel.case` has put up the wire, the rules and the namespace that packets come from.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod burst;
#[cfg(target_os = "linux")]
mod reference;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod traced;
#[cfg(target_os = "linux")]
mod tracking;
#[cfg(target_os = "linux")]
mod traffic;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((what, only)) if what == "kernel" => bench::run(only),
        _ => anyhow::bail!("usage: tracer-bench kernel [WORD...] (see `cargo xtask bench`)"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("tracer-bench measures Linux, and runs there only");
}
