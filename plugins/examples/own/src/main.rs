//! A tracer with one more collector.

use own as _;

fn main() -> std::process::ExitCode {
    tracer::main()
}
