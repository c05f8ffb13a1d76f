//! Sinks of records: access log, metrics, kept traces.
