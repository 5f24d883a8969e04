//! `/v1/prices`.

use control_api::Prices;

use crate::call::Call;
use crate::error::Error;
use crate::reply::Found;

pub(crate) async fn show(call: Call) -> Result<Found<Prices>, Error> {
    Ok(Found(call.control.parts().prices.clone()))
}
