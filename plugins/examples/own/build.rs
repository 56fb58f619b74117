//! Compiles the collector's fragment.

use std::{env, path::Path};

fn main() {
    let (sources, out) = (env::var("CARGO_MANIFEST_DIR"), env::var("OUT_DIR"));
    let (Ok(sources), Ok(out)) = (sources, out) else { return };
    if let Err(error) = tracer_ebpf::build(&Path::new(&sources).join("mark"), Path::new(&out)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
