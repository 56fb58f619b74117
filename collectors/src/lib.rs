//! The built-in collectors
