//! Scripted upstream and other stand-ins for tests.
