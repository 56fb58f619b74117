//! From settings to a running trace
