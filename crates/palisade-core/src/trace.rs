//! Trace context. (Placeholder.)
