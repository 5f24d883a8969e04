//! `agents_list`: which agents the tenant has.

use api::agents::{Agents, ListParams};
use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::Arguments;
use super::{Context, Failure, Group, Outcome, Row, Tool, inside};

#[derive(Debug)]
pub(super) struct AgentsList;

static ROW: Row = Row {
    name: "agents_list",
    label: "Agents",
    group: Group::Agents,
    is_read_only: true,
    description: "Lists the agents that there are, whose sessions can be sent to and started.",
    parameters: r#"{"type":"object","additionalProperties":false,"properties":{}}"#,
};

#[async_trait]
impl Tool for AgentsList {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        Arguments::new(arguments)?.end()?;
        let listed = Agents::list(&inside::call(context), ListParams {}).await;
        let agents = listed.map_err(inside::failed)?.agents.into_iter();
        let own = context.key.agent();
        let agents: Vec<Value> = agents
            .map(|agent| json!({"id": agent.id, "name": agent.name, "isOwn": agent.id == *own}))
            .collect();
        inside::json(&json!({"requester": own, "agents": agents}))
    }
}
