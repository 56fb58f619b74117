//! The collector in the folder `mark`, for a binary to link.

mod names;

tracer::collector!("mark", native = names::entry);
