//! Black-box scenarios against the real binary.
