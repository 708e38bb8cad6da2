//! How long-running work is carried out: thread count, progress reports, cancellation; work in order by several
//! threads, and how many of them may hash at a time.

mod ordered;
mod semaphore;
mod signals;
mod threads;
#[expect(clippy::module_inception, reason = "it holds the type of that name")]
mod work;

pub(crate) use ordered::{in_order, ranges_in_order};
pub(crate) use semaphore::Semaphore;
pub(crate) use signals::SignalsHeld;
pub(crate) use threads::start_thread;
pub use work::{Progress, Work};
