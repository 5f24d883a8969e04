//! What both processes need to run: owners for tasks, a gate in front of what must drain, and
//! gRPC over one inherited socket pair. Knows no tenant and no message.

mod gate;
pub mod limits;
pub mod pair;
mod signals;
mod tasks;

pub use gate::{Closed, Gate, Pass};
pub use signals::terminated;
pub use tasks::Tasks;
