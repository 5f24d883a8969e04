//! What a tenant sees of its events, and what it may do with those that were given up.

use api::ApiError;
use api::inbox::{
    Done, Event, EventParams, Events, Inbox, Intent, Intents, ListParams, OutboxParams,
};

use crate::{Call, failed};

impl Inbox for Call<'_> {
    async fn inbox_list(&self, params: ListParams) -> Result<Events, ApiError> {
        let listed = self.parts.tenants.events_of(self.caller.permit).await;
        let listed = listed.map_err(|err| failed(&err))?.into_iter().map(|event| Event {
            id: event.id,
            source: event.source,
            lane: event.lane,
            event: event.event,
            state: event.state.name(),
            attempts: event.attempts,
            received_at: event.received_at,
            bytes: event.bytes,
            why: event.why,
        });
        let events = listed.filter(|event| !params.dead || event.state == "dead").collect();
        Ok(Events { events })
    }

    async fn inbox_retry(&self, params: EventParams) -> Result<Done, ApiError> {
        let retried = self.parts.tenants.retry_event(self.caller.permit, &params.id).await;
        retried.map_err(|err| failed(&err))?;
        Ok(Done { ok: true })
    }

    async fn inbox_drop(&self, params: EventParams) -> Result<Done, ApiError> {
        let dropped = self.parts.tenants.drop_event(self.caller.permit, &params.id).await;
        dropped.map_err(|err| failed(&err))?;
        Ok(Done { ok: true })
    }

    async fn outbox_list(&self, _: OutboxParams) -> Result<Intents, ApiError> {
        let listed = self.parts.tenants.intents_of(self.caller.permit).await;
        let listed = listed.map_err(|err| failed(&err))?.into_iter().map(|intent| Intent {
            id: intent.id,
            sink: intent.sink,
            place: intent.place,
            state: intent.state,
            sent: intent.sent,
            parts: intent.parts,
            attempts: intent.attempts,
            received_at: intent.received_at,
            why: intent.why,
        });
        Ok(Intents { intents: listed.collect() })
    }
}
