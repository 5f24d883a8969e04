//! What each operation does. Every function here is called with a permit for its row.

pub(crate) mod audit;
pub(crate) mod backups;
mod boundary;
pub(crate) mod channels;
pub(crate) mod egress;
pub(crate) mod evidence;
pub(crate) mod gateway;
pub(crate) mod keys;
pub(crate) mod prices;
pub(crate) mod tenants;
pub(crate) mod terminals;
pub(crate) mod tokens;
pub(crate) mod usage;
mod views;

use crate::error::Error;

fn within(
    field: &'static str,
    value: u32,
    min: u32,
    max: u32,
    what: &'static str,
) -> Result<(), Error> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(Error::Value { field, what }) }
}
