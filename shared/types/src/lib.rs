//! Words that every crate uses. Nothing here does I/O, and nothing here knows a protocol.

mod chain;
mod clock;
mod ids;
mod limits;
mod scope;
mod secret;

pub use chain::Chain;
pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use ids::{AgentId, InvalidId, TenantId};
pub use limits::{LimitOutOfRange, Limits, LimitsPatch};
pub use scope::{Role, Scope, Scopes, UnknownScope};
pub use secret::Secret;
