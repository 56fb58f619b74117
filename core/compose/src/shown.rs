//! Whether a section can be shown whatever its bytes are: what a template and a presentation make of them must be lines of text, and JSON.

use std::sync::Arc;

use tracer_event::{
    Clock, Context, Layout, NoSymbols, ProbeInfo, Probes, Schema, Tag, Trim, header, json, text,
};

/// Shows a section that is made of one byte, for several.
///
/// # Errors
/// With which bytes it cannot be shown, and why.
pub fn shown(schema: &Arc<Schema>) -> Result<(), String> {
    [0x00, 0xff, 0x0a, 0x1b, 0x7f].into_iter().try_for_each(|byte| shown_as(schema, byte))
}

/// An event whose section is made of this byte.
fn shown_as(schema: &Arc<Schema>, byte: u8) -> Result<(), String> {
    let layout = Layout::new(vec![Arc::clone(schema)]).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; layout.fixed_end() as usize];
    let at = layout.sections()[0].offset as usize;
    let len = schema.size() as usize;
    if schema.tail().is_some() {
        // In the fixed part is how long it is; it stands behind.
        bytes[at..at + 4].copy_from_slice(&schema.size().to_le_bytes());
        bytes.extend(std::iter::repeat_n(byte, len));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    } else {
        bytes[at..at + len].fill(byte);
    }
    let size = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
    bytes[header::RECORD_SIZE..header::RECORD_SIZE + 4].copy_from_slice(&size.to_le_bytes());
    bytes[header::SECTIONS] = 1;
    let probes = Probes::new(vec![ProbeInfo {
        tag: Tag::Kprobe,
        name: "probe".to_owned(),
        way: String::new(),
        layout: Arc::new(layout),
        trim: Trim::Machinery,
    }]);
    let clock = Clock::default();
    let context =
        Context { own_netns: None, symbols: &NoSymbols, clock: &clock, utc: false, link_header: true };
    // A record that its own schema rules out is refused when it is read: no event comes of it.
    let Ok(event) = probes.event(&bytes, &context) else { return Ok(()) };
    let mut out = String::new();
    text::Renderer::new().event(&mut out, &event);
    if out.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(format!("its text has control characters with bytes {byte:#04x}"));
    }
    json::Renderer::new().event(&mut out, &event);
    Ok(())
}
