//! `channels.*`: no chat network is connected yet, so there is none to show, start or stop.

use api::ApiError;
use api::channels::{
    ChannelParams, Never, Pairing, PairingLimits, PairingParams, Status, StatusParams,
};

use crate::Call;

/// Requests that wait for one account, and for how long in milliseconds, as in `OpenClaw`.
const LIMITS: PairingLimits = PairingLimits { pending_per_account: 3, ttl_ms: 3_600_000 };

/// Characters of a name that come back.
const MAX_SHOWN: usize = 80;

impl api::channels::Channels for Call<'_> {
    async fn channels_status(&self, params: StatusParams) -> Result<Status, ApiError> {
        match params.channel {
            Some(channel) => Err(unknown(&channel)),
            None => Ok(Status { ts: self.parts.clock.now(), ..Status::default() }),
        }
    }

    async fn channels_start(&self, params: ChannelParams) -> Result<Never, ApiError> {
        Err(unknown(&params.channel))
    }

    async fn channels_stop(&self, params: ChannelParams) -> Result<Never, ApiError> {
        Err(unknown(&params.channel))
    }

    async fn channels_logout(&self, params: ChannelParams) -> Result<Never, ApiError> {
        Err(unknown(&params.channel))
    }

    async fn channels_pairing_list(&self, params: PairingParams) -> Result<Pairing, ApiError> {
        match params.channel {
            Some(channel) => Err(unknown(&channel)),
            None => Ok(Pairing {
                accounts: Vec::new(),
                requests: Vec::new(),
                command_owner_configured: false,
                limits: LIMITS,
            }),
        }
    }
}

fn unknown(channel: &str) -> ApiError {
    let shown: String = channel.chars().filter(|it| !it.is_control()).take(MAX_SHOWN).collect();
    ApiError::invalid(format!("unknown channel: {shown}"))
}
