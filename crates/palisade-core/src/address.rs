//! Addresses. (Placeholder.)
use std::net::IpAddr;

/// A client's address in one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp(IpAddr);

/// A CIDR network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {}

/// Networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);
