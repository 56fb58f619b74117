//! What a hit costs: the time that the kernel counts for tracer's programs, next to programs that do nothing, walk the
//! stack, or copy bytes, on the same packets. `cargo xtask bench kernel` runs it in a virtual machine, where
//! `tests/bench/kernel.case` has put up the wire, the rules and the namespace that packets come from.
//!
//! And what a native half adds to that, in user space: `cargo run --release -p tracer-bench -- native FOLDER` with the folder of a
//! plugin, on any machine.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod burst;
#[cfg(target_os = "linux")]
mod native;
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
fn main() -> anyhow::Result<std::process::ExitCode> {
    // A plugin's process is this program once more.
    let words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(exit) = tracer_engine::native::serve(&words, |_| None) {
        return Ok(exit);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((what, only)) if what == "kernel" => bench::run(only)?,
        Some((what, folders)) if what == "native" && !folders.is_empty() => native::run(folders)?,
        _ => anyhow::bail!(
            "usage: tracer-bench kernel [WORD...] (see `cargo xtask bench`), or tracer-bench native FOLDER..."
        ),
    }
    Ok(std::process::ExitCode::SUCCESS)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("tracer-bench measures Linux, and runs there only");
}
