//! The filter language's BPF back end: what a composed program asks before it does anything else.

pub mod packet;
