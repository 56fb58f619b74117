//! Libraries that behave, and many that do not.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

mod conduct;
mod descriptors;
mod files;
mod hostile;
mod linked;
mod nested;
mod support;
