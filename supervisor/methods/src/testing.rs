//! Two tenants, a clock, and devices with keys, for the tests of devices and nodes. There are no
//! workers: nothing here needs one.

mod gate;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use auth::{Auth, Grant, Principal, TokenSpec};
use base64::Engine as _;
use hub::{Client, Connection, Hub, Outbox, Spec};
use records::{DeviceRole, Records};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::Value;
use settings::Settings;
use types::{Limits, ManualClock, Role, Scope, Scopes, TenantId};

pub(crate) use gate::Gate;

use crate::devices::{Admitted, ConnectError, DeviceProof, Devices, Introduction};
use crate::nodes::Nodes;

pub(crate) const START: u64 = 1_800_000_000_000;
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NONCE: &str = "5d7c2f0e";

pub(crate) struct World {
    pub(crate) gate: Arc<Gate>,
    pub(crate) records: Records,
    pub(crate) auth: Auth,
    pub(crate) hub: Hub,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) a: TenantId,
    pub(crate) b: TenantId,
}

/// A tenant's token, as its holder has it.
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) text: String,
}

/// A machine with a key.
pub(crate) struct Machine(Ed25519KeyPair);

/// What a machine says at the handshake.
pub(crate) struct Said<'a> {
    pub(crate) token: &'a str,
    pub(crate) role: DeviceRole,
    pub(crate) asked: &'a [&'a str],
}

pub(crate) async fn world() -> World {
    let gate = Arc::new(Gate::default());
    let records = Records::over(Arc::<Gate>::clone(&gate)).await.unwrap();
    let [a, b] = ["a", "b"].map(|it| it.parse::<TenantId>().unwrap());
    for tenant in [&a, &b] {
        records.insert_tenant(tenant, 1, Limits::default()).await.unwrap();
    }
    let clock = Arc::new(ManualClock::at(START));
    let auth = Auth::load(records.clone(), Arc::<ManualClock>::clone(&clock)).await.unwrap();
    let (hub, settings) = (
        Hub::default(),
        Settings::new(
            records.clone(),
            settings::Platform::default(),
            settings::SealKey::random().unwrap(),
        ),
    );
    World { gate, records, auth, hub, settings, clock, a, b }
}

impl World {
    pub(crate) fn devices(&self) -> Devices<'_> {
        Devices {
            auth: &self.auth,
            hub: &self.hub,
            records: &self.records,
            settings: &self.settings,
            clock: &*self.clock,
        }
    }

    pub(crate) fn nodes<'a>(&'a self, tenant: &'a TenantId) -> Nodes<'a> {
        Nodes {
            hub: &self.hub,
            records: &self.records,
            settings: &self.settings,
            auth: &self.auth,
            clock: &*self.clock,
            tenant,
        }
    }

    pub(crate) async fn token(&self, tenant: &TenantId, scopes: &[Scope]) -> Token {
        let owner = self.auth.local_operator(0);
        let owner = self.auth.authorize_operator(&owner, Role::Owner, "test").unwrap();
        let scopes: Scopes = scopes.iter().copied().collect();
        let spec = TokenSpec { label: "t".to_owned(), scopes, expires_at: None };
        let issued = self.auth.issue(&Grant::Operator(&owner), tenant, spec).await.unwrap();
        Token { id: issued.row.id, text: issued.token.expose().to_owned() }
    }

    pub(crate) fn enter(&self, token: &str) -> Principal {
        self.auth.authenticate(Some(token), HERE).unwrap()
    }

    /// The whole handshake of a machine, as far as devices are concerned.
    pub(crate) async fn connect(
        &self,
        machine: &Machine,
        said: &Said<'_>,
    ) -> Result<Admitted, ConnectError> {
        self.connect_as(machine, said, "laptop").await
    }

    /// The same of a machine that calls itself something else.
    pub(crate) async fn connect_as(
        &self,
        machine: &Machine,
        said: &Said<'_>,
        name: &str,
    ) -> Result<Admitted, ConnectError> {
        let principal = self.enter(said.token);
        let asked: Vec<_> = said.asked.iter().map(|it| (*it).to_owned()).collect();
        let mut proof = machine.proof(types::Clock::now(&*self.clock));
        proof.signature = machine.sign(&introduction(&principal, &proof, said, &asked), 3);
        let introduction = introduction(&principal, &proof, said, &asked);
        self.devices().connect(&Introduction { display_name: Some(name), ..introduction }).await
    }

    /// A node's connection after the handshake.
    pub(crate) async fn node(
        &self,
        tenant: &TenantId,
        machine: &Machine,
        commands: &[&str],
    ) -> (Arc<Connection>, Outbox) {
        let spec = Spec {
            role: hub::Role::Node,
            client: Client { id: "node-host".to_owned(), ..Client::default() },
            device_id: Some(machine.id()),
            scopes: std::iter::once(Scope::Node).collect(),
            caps: vec!["system".to_owned()],
            commands: commands.iter().map(|it| (*it).to_owned()).collect(),
            path_env: Some("/usr/bin".to_owned()),
            permissions: BTreeMap::new(),
            connected_at: START,
            peer: HERE,
        };
        let (connection, outbox) = self.hub.join(tenant, spec).unwrap();
        self.nodes(tenant).joined(&connection).await.unwrap();
        (connection, outbox)
    }
}

pub(crate) fn introduction<'a>(
    principal: &'a Principal,
    proof: &'a DeviceProof,
    said: &Said<'a>,
    asked: &'a [String],
) -> Introduction<'a> {
    Introduction {
        principal,
        proof,
        nonce: NONCE,
        token: said.token,
        role: said.role,
        role_name: said.role.name(),
        asked,
        client_id: "cli",
        client_mode: "cli",
        display_name: Some("laptop"),
        platform: Some(" Linux "),
        device_family: Some("Desktop"),
        ip: HERE,
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    pub(crate) fn id(&self) -> String {
        crate::devices::device_id(self.0.public_key().as_ref())
    }

    /// A proof that is not signed yet.
    pub(crate) fn proof(&self, signed_at: u64) -> DeviceProof {
        DeviceProof {
            id: self.id(),
            public_key: base64url(self.0.public_key().as_ref()),
            signature: String::new(),
            signed_at,
            nonce: NONCE.to_owned(),
        }
    }

    /// The signature over what is said, written out as the protocol describes it.
    pub(crate) fn sign(&self, it: &Introduction<'_>, version: u8) -> String {
        let mut text = format!(
            "v{version}|{}|{}|{}|{}|{}|{}|{}|{}",
            it.proof.id,
            it.client_id,
            it.client_mode,
            it.role_name,
            it.asked.join(","),
            it.proof.signed_at,
            it.token,
            it.proof.nonce
        );
        if version == 3 {
            text.push_str("|linux|desktop");
        }
        base64url(self.0.sign(text.as_bytes()).as_ref())
    }
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// `details.code` of an error.
pub(crate) fn code(err: &api::ApiError) -> &str {
    err.details.as_ref().and_then(|it| it["code"].as_str()).unwrap_or_default()
}

/// One value of an error's details.
pub(crate) fn detail(err: &api::ApiError, name: &str) -> Value {
    err.details.as_ref().map_or(Value::Null, |it| it[name].clone())
}
