//! A shared library that is a plugin of tracer, as something that can be called.
//!
//! What a library says of itself is read with care ([`Library::open`]), what it does with what it is given is checked after each
//! call ([`Instance`]), and what it asks for reaches [`Services`] only from the right thread at the right time. That makes mistakes
//! of plugins errors with names. It does not make foreign code harmless: what crashes, exits or blocks takes its process along,
//! so whoever uses this does so in a process of its own. [`inspect`] alone runs nothing of the library.

mod answers;
mod callbacks;
mod descriptor;
mod desk;
mod elf;
mod error;
mod instance;
mod library;
mod room;
mod services;
mod session;

pub use descriptor::{DeclaredField, DeclaredSection, Description, Functions};
pub use desk::When;
pub use elf::inspect;
pub use error::{Failure, FieldProblem, LoadError};
pub use instance::Instance;
pub use library::Library;
pub use services::{Answer, EventParts, LossParts, OptionValue, Services};
pub use session::SessionInfo;
