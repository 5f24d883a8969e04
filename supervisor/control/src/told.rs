//! What the audit trail is told of a request: who asked for what, and how it ended. No body is looked
//! at; what a request changes in a tenant's row is told by digests of the row.

use std::sync::{Arc, OnceLock};

use audit::{Act, Audit, Digest, Ended, Intent, Repeated, Unrecorded, Who};
use auth::OperatorPermit;
use axum::extract::Request;
use axum::response::Response;
use control_api::Code;
use records::Records;
use types::TenantId;

use crate::error::Error;
use crate::gate::Peer;
use crate::row::{Row, Told};

/// What every path of a tenant begins with.
const TENANTS: &str = "/v1/tenants/";

/// The name of what a request has made, once it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made(Arc<OnceLock<String>>);

impl Made {
    /// Something of this public name was made.
    pub(crate) fn is(&self, name: &str) {
        // A request makes one thing.
        self.0.get_or_init(|| name.to_owned());
    }
}

/// What is recorded of a permitted request before it is carried out.
#[derive(Debug)]
pub(crate) enum Telling {
    /// Nothing.
    Nothing,
    /// That somebody looks.
    Look(Repeated),
    /// That it is about to be done.
    Act(Box<Act>),
}

impl Telling {
    pub(crate) fn of(
        row: &Row,
        permit: &OperatorPermit,
        request: &Request,
        request_id: &str,
    ) -> Self {
        let who = who(permit, request);
        let path = request.uri().path();
        let tenant = tenant(path);
        match row.told {
            Told::Nothing => Self::Nothing,
            Told::Look => {
                let look = Repeated::done(who, row.operation);
                Self::Look(if let Some(tenant) = tenant { look.of_tenant(tenant) } else { look })
            }
            Told::Act => {
                let act = Act::new(row.operation, who).on(path).by_request(request_id);
                let act = if let Some(tenant) = tenant { act.of_tenant(tenant) } else { act };
                Self::Act(Box::new(act))
            }
        }
    }

    /// Records it.
    ///
    /// # Errors
    /// When an act cannot be recorded; it is not carried out then.
    pub(crate) async fn tell(self, audit: &Audit) -> Result<Option<Intent>, Unrecorded> {
        match self {
            Self::Nothing => Ok(None),
            Self::Look(look) => {
                audit.repeated(look);
                Ok(None)
            }
            Self::Act(act) => audit.intend(*act).await.map(Some),
        }
    }
}

/// The tenant's row as it is stored, where the path names a tenant.
pub(crate) async fn row(records: &Records, path: &str) -> Option<Digest> {
    let tenant: TenantId = tenant(path)?.parse().ok()?;
    // Where the records cannot be read, the request fails and says so.
    let stored = records.stored_tenant(&tenant).await.ok().flatten()?;
    Some(Digest::of(&stored))
}

/// What a request was about.
pub(crate) struct Asked {
    pub(crate) intent: Intent,
    pub(crate) path: String,
    pub(crate) made: Made,
    pub(crate) before: Option<Digest>,
}

impl Asked {
    /// Records how it ended.
    pub(crate) async fn end(mut self, records: &Records, ended: Ended) {
        if let Some(name) = self.made.0.get() {
            self.path = format!("{}/{name}", self.path.trim_end_matches('/'));
            self.intent.made(&self.path, tenant(&self.path));
        }
        let after = row(records, &self.path).await;
        if after != self.before {
            self.intent.changed(self.before, after);
        }
        self.intent.end(ended).await;
    }
}

/// How a request ended.
pub(crate) fn ended(replied: &Result<Response, Error>) -> Ended {
    let Err(error) = replied else { return Ended::done() };
    let code = error.code();
    match code {
        Code::Unauthenticated | Code::Forbidden => Ended::refused(code.as_str()),
        Code::NotFound
        | Code::MethodNotAllowed
        | Code::RequestTimeout
        | Code::Conflict
        | Code::PayloadTooLarge
        | Code::InvalidRequest
        | Code::InvalidValue
        | Code::RateLimited
        | Code::Unavailable
        | Code::Timeout => Ended::failed(code.as_str()),
    }
}

fn who(permit: &OperatorPermit, request: &Request) -> Who {
    let who = permit.operator().who();
    match request.extensions().get::<Peer>() {
        Some(Peer::Remote(address)) => who.at(*address),
        Some(Peer::Local { .. }) | None => who,
    }
}

fn tenant(path: &str) -> Option<&str> {
    path.strip_prefix(TENANTS)?.split('/').next().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_tenant() {
        let check = |path: &str, named: Option<&str>| assert_eq!(tenant(path), named, "{path}");
        check("/v1/tenants", None);
        check("/v1/tenants/", None);
        check("/v1/tenants/acme", Some("acme"));
        check("/v1/tenants/acme/tokens/tok_1", Some("acme"));
        check("/v1/keys/key_1", None);
    }
}
