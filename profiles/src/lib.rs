//! The built-in profiles
