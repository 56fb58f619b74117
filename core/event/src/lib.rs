//! Schemas, records, the packet decoder and text
