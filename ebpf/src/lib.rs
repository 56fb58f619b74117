//! The fragment ABI and the build of fragments
