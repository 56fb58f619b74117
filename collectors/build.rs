//! Compiles every built-in collector's fragment.

use std::{env, error::Error, path::Path};

/// One folder each; `src/lib.rs` embeds the same.
const COLLECTORS: [&str; 6] = ["nft", "skb", "skb_drop", "skb_tracking", "dev", "ns"];

fn main() -> Result<(), Box<dyn Error>> {
    let (sources, out) = (env::var("CARGO_MANIFEST_DIR")?, env::var("OUT_DIR")?);
    for name in COLLECTORS {
        // `unwrap` would print the error escaped, and it spans lines.
        if let Err(error) = tracer_ebpf::build(&Path::new(&sources).join(name), Path::new(&out)) {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
    Ok(())
}
