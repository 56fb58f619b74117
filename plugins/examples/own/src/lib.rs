//! The collector in the folder `mark`, for a binary to link.

tracer::collector!("mark");
