//! The object cut short, and with bytes changed: whatever comes of it is an answer, and never the end of tracer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracer_compose::{Fragment, Library};

/// Cuts, and changes, of each so many.
const TIMES: usize = 100;

pub(super) fn all(manifest: &str, object: &[u8], library: Option<&Library>) -> Result<String, String> {
    let parse = |bytes: &[u8]| match library {
        Some(library) => Fragment::parse_native(manifest, Some((bytes, None)), library.clone()),
        None => Fragment::parse(manifest, bytes, None),
    };
    let mut refused = 0;
    let mut tried = |bytes: &[u8], what: &dyn Fn() -> String| {
        match catch_unwind(AssertUnwindSafe(|| parse(bytes).is_err())) {
            Ok(was) => refused += usize::from(was),
            Err(_) => return Err(format!("tracer cannot bear it {}: please report this", what())),
        }
        Ok(())
    };
    for number in 0..TIMES {
        let cut = object.len() * number / TIMES;
        tried(&object[..cut], &|| format!("cut at byte {cut}"))?;
    }
    // Numbers that are the same everywhere, so that a failure can be seen again.
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..TIMES {
        let mut changed = object.to_vec();
        let mut at = 0;
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            at = usize::try_from(state >> 16).unwrap_or(0) % changed.len().max(1);
            let value = state.to_le_bytes()[0];
            if let Some(byte) = changed.get_mut(at) {
                *byte = value;
            }
        }
        tried(&changed, &|| format!("changed at byte {at}"))?;
    }
    Ok(format!("{refused} of {} refused", 2 * TIMES))
}
