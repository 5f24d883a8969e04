//! `/v1/audit`.

use control_api::{AuditHead, AuditPage, AuditQuery};
use trail::{Query, Wanted};

use crate::call::{Call, Nothing};
use crate::error::Error;
use crate::reply::Found;

pub(crate) async fn list(call: Call<Nothing, AuditQuery>) -> Result<Found<AuditPage>, Error> {
    let AuditQuery { after, tenant, limit } = call.query;
    let limit = limit.unwrap_or(control_api::DEFAULT_PAGE);
    if !(1..=control_api::MAX_PAGE).contains(&limit) {
        return Err(Error::Value { field: "limit", what: "from 1 to 1000" });
    }
    let query = Query {
        wanted: after.map_or(Wanted::Newest, Wanted::After),
        tenant: tenant.map(String::from),
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let page = call.control.parts().audit.page(query).await?;
    let records = page.records.iter().map(serde_json::to_value);
    let records = records.collect::<Result<_, _>>().map_err(Error::Encode)?;
    Ok(Found(AuditPage { records, next: page.next }))
}

pub(crate) async fn checkpoint(call: Call) -> Result<Found<AuditHead>, Error> {
    let audit = &call.control.parts().audit;
    let (Some(head), Some(key)) = (audit.head(), audit.public_key()) else {
        return Err(Error::NoRecord);
    };
    Ok(Found(AuditHead {
        seq: head.seq,
        hash: head.hash.to_string(),
        at: head.at,
        signature: head.signature.to_string(),
        public_key: key.to_string(),
    }))
}
