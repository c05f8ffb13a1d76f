//! Scripted upstream and other stand-ins for tests.

pub mod redis;
pub mod upstream;
