//! BPF maps: where programs and we exchange what is not an event (counters, scratch slots, dictionaries, the
//! rings' outer array). One type for all kinds, because the composer describes maps as data.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::host::PossibleCpus;
use crate::sys::{self, Attr, Command};

/// `BPF_MAP_TYPE_HASH` (`enum bpf_map_type`, include/uapi/linux/bpf.h; the same for all below).
pub const HASH: u32 = 1;
/// `BPF_MAP_TYPE_ARRAY`.
pub const ARRAY: u32 = 2;
/// `BPF_MAP_TYPE_PERCPU_HASH`.
pub const PERCPU_HASH: u32 = 5;
/// `BPF_MAP_TYPE_PERCPU_ARRAY`.
pub const PERCPU_ARRAY: u32 = 6;
/// `BPF_MAP_TYPE_LRU_HASH`.
pub const LRU_HASH: u32 = 9;
/// `BPF_MAP_TYPE_LRU_PERCPU_HASH`.
pub const LRU_PERCPU_HASH: u32 = 10;
/// `BPF_MAP_TYPE_ARRAY_OF_MAPS`.
pub const ARRAY_OF_MAPS: u32 = 12;
/// `BPF_MAP_TYPE_HASH_OF_MAPS`.
pub const HASH_OF_MAPS: u32 = 13;
/// `BPF_MAP_TYPE_RINGBUF`; 5.8.
pub const RINGBUF: u32 = 27;

/// Kinds whose value in user space is a descriptor or an id of 4 bytes (`IS_FD_MAP`, kernel/bpf/syscall.c):
/// PROG_ARRAY, PERF_EVENT_ARRAY, CGROUP_ARRAY and the two kinds of maps of maps.
const OF_DESCRIPTORS: [u32; 5] = [3, 4, 8, ARRAY_OF_MAPS, HASH_OF_MAPS];
/// Kinds whose value in user space is one part per possible CPU; 21 is PERCPU_CGROUP_STORAGE.
const PER_CPU: [u32; 4] = [PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, 21];

/// What a map shall be.
#[derive(Clone, Copy, Debug)]
pub struct MapSpec<'a> {
    /// Shown by `bpftool map`, cut to 15 characters.
    pub name: &'a str,
    /// `BPF_MAP_TYPE_*`, such as [`ARRAY`].
    pub kind: u32,
    /// Bytes of a key; 4 for arrays, 0 for a ring.
    pub key_size: u32,
    /// Bytes of a value (of one CPU's part, for per-CPU kinds); 4 for maps of maps, 0 for a ring.
    pub value_size: u32,
    /// Elements; for a ring its size in bytes, a power of two and a multiple of the page size.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// For maps of maps: a map of the kind and sizes that the elements will have. Needed only during the
    /// call.
    pub inner: Option<BorrowedFd<'a>>,
}

/// A map; closed when dropped (the kernel keeps it as long as programs or other maps use it).
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    name: String,
    kind: u32,
    key_bytes: usize,
    value_bytes: usize,
    max_entries: u32,
}

impl Map {
    /// Creates a map.
    ///
    /// # Errors
    ///
    /// [`MapError::Create`] with the kernel's answer: EPERM (CAP_BPF is missing, or, before 5.11,
    /// RLIMIT_MEMLOCK: call [`crate::limits::raise_limits`] first), EINVAL (the kind is unknown here or the
    /// sizes do not fit it), ENOMEM and E2BIG (too large: try half).
    pub fn create(spec: &MapSpec<'_>) -> Result<Map, MapError> {
        let failed = |errno| MapError::Create {
            name: spec.name.to_owned(),
            kind: spec.kind,
            bytes: u64::from(spec.max_entries) * u64::from(spec.value_size.max(1)),
            errno,
        };
        let value_bytes = value_bytes(spec).map_err(failed)?;
        let mut attr = Create {
            kind: spec.kind,
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries: spec.max_entries,
            flags: spec.flags,
            inner: spec.inner.map_or(0, sys::raw),
            numa_node: 0,
            name: sys::object_name(spec.name),
        };
        // SAFETY: the attribute holds no address.
        let fd = unsafe { sys::bpf_fd(Command::MapCreate, &mut attr) }.map_err(failed)?;
        Ok(Map {
            fd,
            name: spec.name.to_owned(),
            kind: spec.kind,
            key_bytes: spec.key_size as usize,
            value_bytes,
            max_entries: spec.max_entries,
        })
    }

    /// The descriptor, for instructions that name this map.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Another descriptor of the same map.
    ///
    /// # Errors
    ///
    /// No descriptor is free.
    pub fn try_clone(&self) -> io::Result<Map> {
        Ok(Map { fd: self.fd.try_clone()?, name: self.name.clone(), ..*self })
    }

    /// The name it was created with, uncut.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `BPF_MAP_TYPE_*`.
    pub fn kind(&self) -> u32 {
        self.kind
    }

    /// Elements, or a ring's bytes.
    pub fn max_entries(&self) -> u32 {
        self.max_entries
    }

    /// Bytes that [`Map::lookup`] fills: for per-CPU kinds one part per possible CPU, each rounded up to 8
    /// bytes.
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// Copies the value at `key` into `value`; `false` if there is no such key.
    ///
    /// The copy is not atomic against running programs. In maps of maps the value is the inner map's id.
    ///
    /// # Errors
    ///
    /// A key or value of the wrong length, or the kernel's answer.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> Result<bool, MapError> {
        self.check(key, value.len())?;
        let value = sys::address_mut(value);
        self.element(Command::MapLookup, key, value, 0)
    }

    /// Sets the value at `key`. `flags` is 0, or `BPF_NOEXIST` (1) or `BPF_EXIST` (2).
    ///
    /// In maps of maps the value is the inner map's descriptor as 4 native-endian bytes: see
    /// [`Map::update_map`].
    ///
    /// # Errors
    ///
    /// A key or value of the wrong length, or the kernel's answer (E2BIG: full, or beyond the array's end).
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), MapError> {
        self.check(key, value.len())?;
        self.element(Command::MapUpdate, key, sys::address(value), flags).and_then(|found| {
            if found {
                Ok(())
            } else {
                Err(self.failed("update", io::Error::from_raw_os_error(libc::ENOENT)))
            }
        })
    }

    /// Puts a map into this map of maps, at `index`.
    ///
    /// # Errors
    ///
    /// As for [`Map::update`]; EINVAL when the inner map differs from the one given at creation.
    pub fn update_map(&self, index: u32, inner: &Map) -> Result<(), MapError> {
        self.update(&index.to_ne_bytes(), &sys::raw(inner.fd()).to_ne_bytes(), 0)
    }

    /// Removes `key`; `false` if it was not there.
    ///
    /// # Errors
    ///
    /// A key of the wrong length, or the kernel's answer (EINVAL: an array's elements cannot be removed).
    pub fn delete(&self, key: &[u8]) -> Result<bool, MapError> {
        self.check(key, self.value_bytes)?;
        self.element(Command::MapDelete, key, 0, 0)
    }

    /// Puts the key after `key` (the first one, for `None`) into `next`; `false` at the end. A map that
    /// changes meanwhile may show keys twice or start over.
    ///
    /// # Errors
    ///
    /// A key of the wrong length, or the kernel's answer.
    pub fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<bool, MapError> {
        self.check(next, self.value_bytes)?;
        self.check(key.unwrap_or(next), self.value_bytes)?;
        let next = sys::address_mut(next);
        self.element(Command::MapNextKey, key.unwrap_or(&[]), next, 0)
    }

    fn check(&self, key: &[u8], value: usize) -> Result<(), MapError> {
        let wrong =
            |what, expected, found| MapError::Length { name: self.name.clone(), what, expected, found };
        if key.len() != self.key_bytes {
            return Err(wrong("key", self.key_bytes, key.len()));
        }
        if value != self.value_bytes {
            return Err(wrong("value", self.value_bytes, value));
        }
        Ok(())
    }

    /// One element command; `false` for ENOENT. Lengths were checked by the caller.
    fn element(&self, command: Command, key: &[u8], value: u64, flags: u64) -> Result<bool, MapError> {
        let mut attr = Element { map: sys::raw(self.fd()), unused: 0, key: sys::address(key), value, flags };
        // SAFETY: the kernel reads this map's key size at `key` and reads or writes this map's value size
        // (next_key: its key size) at `value`; `check` has compared the slices' lengths with those sizes, and
        // both outlive the call.
        match unsafe { sys::bpf(command, &mut attr) } {
            Ok(_) => Ok(true),
            Err(errno) if errno.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(errno) => Err(self.failed(verb(command), errno)),
        }
    }

    fn failed(&self, verb: &'static str, errno: io::Error) -> MapError {
        MapError::Access { name: self.name.clone(), verb, errno }
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// Waits until every program that was running when this was called has ended.
///
/// Closing a link does not wait: a program may still be under way on another CPU and write one more record.
/// Changing a map of maps does (maybe_wait_bpf_programs() in kernel/bpf/syscall.c waits one RCU period), so a
/// small one is changed.
///
/// # Errors
///
/// Those of creating and updating a map.
pub fn wait_for_running_programs() -> Result<(), MapError> {
    let spec = MapSpec {
        name: "tracer_wait",
        kind: ARRAY,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        flags: 0,
        inner: None,
    };
    let inner = Map::create(&spec)?;
    let outer = Map::create(&MapSpec { kind: ARRAY_OF_MAPS, inner: Some(inner.fd()), ..spec })?;
    outer.update_map(0, &inner)
}

/// Why a map operation failed.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The kernel did not create the map.
    #[error("cannot create map {name} (type {kind}, {bytes} bytes): {errno}")]
    Create {
        /// The map's name.
        name: String,
        /// `BPF_MAP_TYPE_*`.
        kind: u32,
        /// What its elements need, without overhead and without counting CPUs.
        bytes: u64,
        /// The kernel's answer.
        errno: io::Error,
    },
    /// A key or value is not as long as the map's are.
    #[error("map {name}: a {what} has {expected} bytes, not {found}")]
    Length {
        /// The map's name.
        name: String,
        /// `key` or `value`.
        what: &'static str,
        /// Bytes that the map needs.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// The kernel refused a lookup, update or removal.
    #[error("map {name}: cannot {verb}: {errno}")]
    Access {
        /// The map's name.
        name: String,
        /// What was asked.
        verb: &'static str,
        /// The kernel's answer.
        errno: io::Error,
    },
}

impl MapError {
    /// The kernel's answer, where it was asked.
    pub fn errno(&self) -> Option<&io::Error> {
        match self {
            MapError::Create { errno, .. } | MapError::Access { errno, .. } => Some(errno),
            MapError::Length { .. } => None,
        }
    }
}

/// bpf_map_value_size() in kernel/bpf/syscall.c.
fn value_bytes(spec: &MapSpec<'_>) -> io::Result<usize> {
    let one = spec.value_size as usize;
    if PER_CPU.contains(&spec.kind) {
        Ok(one.next_multiple_of(8) * PossibleCpus::read()?.count)
    } else if OF_DESCRIPTORS.contains(&spec.kind) {
        Ok(4)
    } else {
        Ok(one)
    }
}

fn verb(command: Command) -> &'static str {
    match command {
        Command::MapLookup => "look up",
        Command::MapUpdate => "update",
        Command::MapDelete => "remove",
        Command::MapNextKey => "walk",
        _ => "access",
    }
}

/// `BPF_MAP_CREATE`, up to `map_name`.
#[repr(C)]
struct Create {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}
const _: () = assert!(size_of::<Create>() == 44);
// SAFETY: integers only; 7 * 4 + 16 bytes leave no room for padding.
unsafe impl Attr for Create {}

/// `BPF_MAP_*_ELEM` and `BPF_MAP_GET_NEXT_KEY`.
#[repr(C)]
struct Element {
    map: u32,
    unused: u32,
    key: u64,
    value: u64,
    flags: u64,
}
const _: () = assert!(size_of::<Element>() == 32);
// SAFETY: integers only; the hole before `key` has a name.
unsafe impl Attr for Element {}
