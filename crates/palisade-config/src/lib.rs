//! From text to a compiled snapshot, every problem at once with its place.
