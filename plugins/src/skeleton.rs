//! What a new plugin looks like.
