//! Rows of the method table and the macros that make everything else from a row.

use serde::Serialize;
use serde::de::DeserializeOwned;
use types::Scope;

use crate::ApiError;

/// One row: a method, the scope that it needs, and who serves it.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// The name on the wire, for example `sessions.list`.
    pub name: &'static str,
    /// The scope without which no caller gets through.
    pub scope: Scope,
    /// Which side of the process boundary answers.
    pub served_by: ServedBy,
    /// Whether it may take longer than a minute or answer more than once (`Worker.Replies`).
    pub long: bool,
    /// Whether nodes may call it beside operators.
    pub nodes: bool,
    /// Whether each call is recorded in the audit trail, before it is carried out and afterwards.
    pub recorded: Recorded,
}

/// Whether calls are recorded in the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Each, before it is carried out and afterwards; what cannot be recorded is not carried out.
    Each,
    /// None.
    No,
}

/// Which side of the process boundary answers a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedBy {
    /// The tenant's own confined process.
    Worker,
    /// The supervisor, because the answer is its own records.
    Supervisor,
}

/// Parameters as JSON bytes; empty means `{}`, and unknown fields are refused by the types.
pub(crate) fn parse<P: DeserializeOwned>(method: &str, params: &[u8]) -> Result<P, ApiError> {
    let params = if params.is_empty() { b"{}" } else { params };
    // Serde would read an array as the fields in their order.
    if params.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::invalid(format!("invalid {method} params: must be object")));
    }
    serde_json::from_slice(params)
        .map_err(|err| ApiError::invalid(format!("invalid {method} params: {err}")))
}

/// A result as JSON bytes.
pub(crate) fn encode<R: Serialize>(method: &str, result: &R) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(result)
        .map_err(|err| ApiError::unavailable(format!("{method} has no JSON form: {err}")))
}

/// Whether calls of a row are recorded: what only those may do who administer, approve or pair is,
/// unless the row says `unrecorded`; anything else where it says `recorded`.
pub(crate) const fn recorded(scope: Scope, flags: &[&str]) -> Recorded {
    let authority = matches!(scope, Scope::Admin | Scope::Approvals | Scope::Pairing);
    let each = (authority && !has(flags, "unrecorded")) || has(flags, "recorded");
    if each { Recorded::Each } else { Recorded::No }
}

/// Whether a row carries `flag`.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a panic is an error")]
pub(crate) const fn has(flags: &[&str], flag: &str) -> bool {
    let mut at = 0;
    while at < flags.len() {
        let (found, wanted) = (flags[at].as_bytes(), flag.as_bytes());
        let mut same = found.len() == wanted.len();
        let mut byte = 0;
        while same && byte < wanted.len() {
            same = found[byte] == wanted[byte];
            byte += 1;
        }
        if same {
            return true;
        }
        at += 1;
    }
    false
}

/// Declares one group: its trait (one function per row), its rows, and its dispatch arm. After the
/// scope of a row may stand `long`, `nodes`, `recorded` and `unrecorded`; see [`Method`].
macro_rules! methods {
    ($served_by:ident; $(#[$doc:meta])* pub trait $Group:ident {
        $($(#[$row:meta])* $name:literal [$scope:ident $($flag:ident)*] fn $func:ident($Params:ty) -> $Result:ty;)+
    }) => {
        $(#[$doc])*
        pub trait $Group: Sync {
            $($(#[$row])*
            fn $func(&self, params: $Params)
                -> impl Future<Output = Result<$Result, $crate::ApiError>> + Send;)+
        }

        /// The rows of this group.
        pub(crate) const METHODS: &[$crate::Method] = &[$($crate::Method {
            name: $name,
            scope: types::Scope::$scope,
            served_by: $crate::ServedBy::$served_by,
            long: $crate::table::has(&[$(stringify!($flag)),*], "long"),
            nodes: $crate::table::has(&[$(stringify!($flag)),*], "nodes"),
            recorded: $crate::table::recorded(types::Scope::$scope, &[$(stringify!($flag)),*]),
        }),+];

        /// Calls `method`, or gives `None` where it is not of this group.
        pub(crate) async fn dispatch(
            handler: &impl $Group,
            method: &str,
            params: &mut (impl AsRef<[u8]> + Default),
        ) -> Option<Result<Vec<u8>, $crate::ApiError>> {
            Some(match method {
                $($name => {
                    let text = std::mem::take(params);
                    let parsed = $crate::table::parse::<$Params>($name, text.as_ref());
                    drop(text);
                    match parsed {
                        Ok(params) => handler
                            .$func(params)
                            .await
                            .and_then(|result| $crate::table::encode($name, &result)),
                        Err(err) => Err(err),
                    }
                },)+
                _ => return None,
            })
        }
    };
}

/// Declares one side of the process boundary: the trait of all its groups, their rows, and the
/// dispatch over them.
macro_rules! groups {
    ($($(#[$doc:meta])* pub mod $side:ident = $Side:ident [$($group:ident::$Group:ident),+];)+) => {$(
        $(#[$doc])*
        pub mod $side {
            use crate::{ApiError, Method};

            /// Every group of this side.
            pub trait $Side: $(crate::$group::$Group +)+ {}
            impl<T: $(crate::$group::$Group +)+> $Side for T {}

            /// The rows, by group.
            pub(crate) const METHODS: &[&[Method]] = &[$(crate::$group::METHODS),+];

            /// Calls `method` with JSON parameters; the result is JSON. Their text is let go of as
            /// soon as it is read: a method may take minutes.
            pub async fn dispatch(
                handler: &impl $Side,
                method: &str,
                mut params: impl AsRef<[u8]> + Default,
            ) -> Result<Vec<u8>, ApiError> {
                $(if let Some(reply) = crate::$group::dispatch(handler, method, &mut params).await {
                    return reply;
                })+
                Err(ApiError::invalid(format!("unknown method: {method}")))
            }
        }
    )+};
}

pub(crate) use groups;
