//! Configuration as data. (Placeholder.)
