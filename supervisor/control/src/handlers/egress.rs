//! `/v1/tenants/{id}/egress`.

use ::egress::Rule;
use control_api::{EgressRules, SetEgress, TenantPath};
use types::Chain;

use crate::call::{Call, Nothing};
use crate::error::Error;
use crate::reply::Found;

/// Rules of one tenant: more than anybody reads, and as many as fit into a request.
const MAX_RULES: usize = 100;

pub(crate) async fn show(call: Call<TenantPath>) -> Result<Found<EgressRules>, Error> {
    shown(&call)
}

pub(crate) async fn set(
    call: Call<TenantPath, Nothing, SetEgress>,
) -> Result<Found<EgressRules>, Error> {
    if call.body.allow.len() > MAX_RULES {
        return Err(Error::Value { field: "allow", what: "at most 100 rules" });
    }
    let rule =
        |text: &String| text.parse::<Rule>().map_err(|err| Error::Rule(Chain(&err).to_string()));
    let rules = call.body.allow.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    call.control.parts().tenants.set_reach(&call.path.id, &rules).await?;
    shown(&call)
}

fn shown<Q, B>(call: &Call<TenantPath, Q, B>) -> Result<Found<EgressRules>, Error> {
    let tenant = call.path.id.clone();
    let reach = call.control.parts().tenants.reach(&tenant)?;
    Ok(Found(EgressRules { tenant, allow: reach.own, everyone: reach.everyones }))
}
