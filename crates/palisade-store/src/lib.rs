//! Counters, sessions and records: the backends and their conformance suite.
