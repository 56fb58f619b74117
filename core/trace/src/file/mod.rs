//! The trace file: what `collect -o` writes and everything else reads. A trace needs nothing of the machine it comes from:
//! beside the records it holds their schemas, the names of their addresses, and what the clocks said.
//!
//! docs/trace-format.md specifies it. From the bytes up: `block` is how anything stands in a file, and `scan` finds it
//! again, also behind damage. `pack` and `unpack` are the records of one block; `meta`, `schema` and `notes` are
//! the payloads of the other kinds. `writer` and `rotate` are the sinks; `reader` finds the files of a trace and
//! `replay` and `render` give back what is in them, in one thread and in several.
//!
//! Whoever wrote a file may be hostile: no length in it is believed before it was held against a bound, and what does
//! not make sense is reported with its place, and left out.

mod block;
mod create;
mod damage;
mod meta;
mod notes;
mod out;
mod pack;
mod reader;
mod render;
mod replay;
mod rotate;
mod rotation;
mod scan;
mod schema;
mod series;
mod sort;
mod state;
mod unpack;
mod writer;

pub use create::CreateError;
pub use damage::{BlockProblem, Damage, Flaw};
pub use out::OutFile;
pub use reader::{OpenError, Totals, Trace};
pub use render::{Render, Rendering, Select, Worker};
pub use replay::{Progress, Replay, ReplayError, Replayed, Show, replay_stream};
pub use rotate::RotatingSink;
pub use rotation::{Rotation, RotationError};
pub use sort::Sorting;
pub use writer::TraceSink;
