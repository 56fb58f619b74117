//! Libraries that behave, and many that do not.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

mod linked;
mod support;
