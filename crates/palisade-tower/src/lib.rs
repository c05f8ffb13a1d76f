//! The guard as a Tower layer: the library that Rust services use.
