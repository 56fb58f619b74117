//! What a user writes: probes, filters, profiles, options, and diagnostics
