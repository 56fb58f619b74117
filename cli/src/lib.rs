//! Plugin-based packet tracing for Linux
