//! Composes BPF programs from collector fragments.
//!
//! A collector is a manifest and a small BPF object, the *fragment*. This room reads both
//! ([`Fragment`]), resolves the object against the running kernel's types ([`Linked`]), finds out
//! which arguments a probe offers ([`Arguments`]), and puts a program together from a generated
//! main function and the fragments' readers ([`compose`]). The result ([`Image`]) only has to be
//! loaded; nothing here makes a system call.
//!
//! A collector may have a native half ([`NativeHalf`]), a library that runs in a process of its own. Here it is a file or an entry
//! point that is kept for whoever runs it, and the schema of the section that it adds; nothing of it is called.
//!
//! The collectors that there are ([`Catalog`]) bring options of their own to the command line and profiles.
//!
//! It may use `tracer-bpf`, `tracer-event` and `tracer-dsl`, and the names of `tracer-plugin-abi`'s types.

#![forbid(unsafe_code)]

mod alone;
mod arguments;
mod catalog;
mod driver;
mod error;
pub mod filter;
mod fragment;
mod helpers;
mod hook;
mod image;
mod kernel_enum;
mod link;
mod manifest;
mod registry;
mod schema;
mod shape;
mod shown;

pub use alone::{AloneShape, Judged};
pub use arguments::{ArgType, Argument, Arguments, Origin};
pub use aya_obj::btf::BtfFeatures;
pub use catalog::{Catalog, CatalogError, Taken, option_name};
pub use error::{ComposeError, FragmentError};
pub use fragment::{
    ABI, ARGUMENTS_MAX, Accessor, Build, Follow, Fragment, From, Library, NativeHalf, Reader, SECTION_MAX,
    TEXTS_MAX, Want, Wants,
};
pub use helpers::allowed_helpers;
pub use hook::{Exception, Hook, HookKind, HookPlace, HookShape, ManifestHook, ManifestLoss};
pub use image::{Blame, Image, ImageMap, compose, compose_alone, compose_hook};
pub use kernel_enum::{KernelEnumField, KernelEnums};
pub use link::{Func, Linked, MapSpec, Target, btf_section, kernel_types};
pub use manifest::{
    Guard as ManifestGuard, Manifest, ManifestError, ManifestNative, ManifestOption, NativeNeed, Need,
    PlaceName, SectionText, TextOption,
};
#[doc(hidden)]
pub use registry::inventory;
pub use registry::{Embedded, Entry};
pub use shape::{
    Attach, BoundReader, CALLS, COUNTERS, Guard, MapRef, ReturnValue, Role, STACK_BYTES, Shape, counter,
};
pub use shown::shown;
