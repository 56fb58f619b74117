//! The `tracer` binary. All of it is in the library, so that others can build a binary of their own
//! with further collectors linked in.

use std::process::ExitCode;

fn main() -> ExitCode {
    tracer::main()
}
