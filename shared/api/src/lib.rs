//! The method table: every method that a tenant's token can call, one row each.
//!
//! Adding a method: write its row and its two types in the group's file. The compiler then names
//! the function that is missing in `worker/src/methods/` (or, for a group that the supervisor
//! serves, in `supervisor/tenants/src/methods/`). Scope check, parameter parsing, the reply for an
//! unknown method, the metrics label and the authorisation test come from the row.
//!
//! Pure: no I/O, no runtime.

mod error;
#[macro_use]
mod table;

pub mod chat;
pub mod events;
pub mod health;
pub mod routes;
pub mod rpc;
pub mod sessions;
pub mod tenants;

pub use error::{ApiError, Code};
pub use table::{Method, ServedBy};

table::groups! {
    /// What a worker serves: the supervisor passes parameters and results on as bytes.
    pub mod worker = Worker [health::Health, sessions::Sessions, chat::Chat];
    /// What the supervisor serves itself.
    pub mod supervisor = Supervisor [tenants::Tenants];
}

/// Every method, in the order of the groups.
pub fn methods() -> impl Iterator<Item = &'static Method> {
    worker::METHODS.iter().chain(supervisor::METHODS).copied().flatten()
}

/// The row of the method called `name`.
pub fn method(name: &str) -> Option<&'static Method> {
    methods().find(|method| method.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = methods().map(|method| method.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
