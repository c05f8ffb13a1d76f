//! Scripted upstream and other stand-ins for tests.

pub mod upstream;
