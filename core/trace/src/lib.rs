//! Sinks: where events go
