//! Words that every crate uses. Nothing here does I/O, and nothing here knows a protocol.

mod chain;
mod clock;
mod ids;
mod limited;
mod limits;
mod quota;
mod scope;
mod secret;
mod sleep;

pub use chain::Chain;
pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use ids::{AgentId, InvalidId, TenantId};
pub use limited::{Cause, Limited};
pub use limits::{InvalidLimit, Limits, LimitsPatch};
pub use quota::{Dimension, InvalidQuota, Level, MAX_QUOTAS, Quota, Window};
pub use scope::{Role, Scope, Scopes, UnknownScope};
pub use secret::Secret;
pub use sleep::{InvalidSleep, Sleep};
