//! What a tenant has used and may still use: admission, reservation, settlement. The invariant is
//! that what is settled plus what is held never exceeds a limit, at any instant, on any level.
//!
//! Pure: no I/O, no runtime, and no clock of its own. Where the lines of the books go is a trait.

mod account;
mod amount;
mod call;
mod entry;
mod hold;
mod house;
mod journal;
mod lease;
mod live;
#[cfg(test)]
mod model;
mod pot;
mod price;
mod refusal;
mod subjects;
mod table;
mod told;
mod window;

pub use account::{Account, Admission, MAX_NAME, Who};
pub use call::{Call, Want};
pub use entry::{Amount, Day, Entry, InvalidDay, Kind};
pub use hold::{Hold, Reserved, Settled, TopUp};
pub use house::Ledger;
pub use journal::{Journal, MemoryJournal, Unwritten, Writing};
pub use lease::Lease;
pub use price::{Price, Tier, Tokens};
pub use refusal::{Refusal, Standing, Warning, Why};
pub use table::{PriceEntry, PriceError, PriceTable, Priced, Prices};
pub use window::day;

/// What was used in one window.
pub type Used = Amount;
