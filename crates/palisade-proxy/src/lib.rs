//! Upstream: pool, balancing, retries, timeouts, upgrades, streaming.
