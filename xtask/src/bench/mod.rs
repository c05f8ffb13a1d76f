//! `cargo xtask bench`: what a request costs, beside proxies that do the same work.
//!
//! `proxy` measures CPU time, throughput, latency and memory. `instructions` counts instructions,
//! which repeat within a percent on any machine. `limits` measures decisions beside `governor`.

mod claims;
pub(crate) mod instructions;
mod limits;
mod load;
pub(crate) mod machine;
mod page;
mod peers;
pub(crate) mod process;
mod proxy;
mod results;
mod sets;
mod site;
pub(crate) mod stand;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::root::Root;

/// `bench proxy`, `bench instructions` or `bench limits`.
pub(crate) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    match arguments.word().as_deref() {
        Some("proxy") => proxy::run(root, arguments),
        Some("instructions") => instructions::run(root, arguments),
        Some("limits") => limits::run(root, arguments),
        _ => Err(Failure::Usage("bench what: proxy, instructions or limits?".to_owned())),
    }
}
