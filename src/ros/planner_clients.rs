//! Calls to the planner's nodes: carries out the sink's commands and brings back the answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use r2r::QosProfile;
use r2r::rcl_interfaces::msg::{Parameter, ParameterValue, SetParametersResult};
use r2r::rcl_interfaces::srv::{GetParameters, SetParameters, SetParametersAtomically};
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use super::{Input, NodeError};
use vlm_planner_tuner::nav2::{CallId, Command, Event, NodeName, RosValue, SetOutcome, SetService};

/// r2r would wait for ever for a server that died. The sink gives a call up long before. The client stays: r2r cannot drop
/// one, and it finds a server that comes back by itself.
const GIVE_UP: Duration = Duration::from_secs(2);
/// Between two looks whether a server that is there still is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// r2r answers within one spin whether a server is there.
const LOOK_TAKES: Duration = Duration::from_millis(200);

/// Types as in rcl_interfaces/msg/ParameterType.
pub(super) const INTEGER: u8 = 2;
pub(super) const DOUBLE: u8 = 3;

/// Clients for every node of a mapping.
pub(super) struct PlannerClients {
    nodes: HashMap<NodeName, Clients>,
    inputs: Sender<Input>,
}

struct Clients {
    each: r2r::Client<SetParameters::Service>,
    atomically: Arc<r2r::Client<SetParametersAtomically::Service>>,
    get: r2r::Client<GetParameters::Service>,
}

impl PlannerClients {
    /// Makes the clients and starts watching for the servers, on the current tokio runtime.
    pub(super) fn new<'a>(
        node: &mut r2r::Node,
        names: impl Iterator<Item = &'a NodeName>,
        inputs: Sender<Input>,
    ) -> Result<Self, NodeError> {
        let mut nodes = HashMap::new();
        for name in names {
            let service = |service: &str| format!("{}/{service}", name.as_str());
            let qos = QosProfile::services_default;
            let clients = Clients {
                each: node.create_client(&service("set_parameters"), qos())?,
                atomically: Arc::new(node.create_client(&service("set_parameters_atomically"), qos())?),
                get: node.create_client(&service("get_parameters"), qos())?,
            };
            tokio::spawn(watch(name.clone(), clients.atomically.clone(), inputs.clone()));
            nodes.insert(name.clone(), clients);
        }
        Ok(Self { nodes, inputs })
    }

    /// Carries out a command. The answer comes as [`Input::Planner`].
    pub(super) fn carry_out(&self, name: NodeName, command: Command) {
        let Some(clients) = self.nodes.get(&name) else { return };
        match command {
            Command::Set { call, service: SetService::Atomically, values } => {
                let request = SetParametersAtomically::Request { parameters: to_parameters(&values) };
                self.answer(name, call, clients.atomically.request(&request), move |response| Event::SetResult {
                    call,
                    results: vec![outcome(response.result)],
                });
            }
            Command::Set { call, service: SetService::Each, values } => {
                let request = SetParameters::Request { parameters: to_parameters(&values) };
                self.answer(name, call, clients.each.request(&request), move |response| Event::SetResult {
                    call,
                    results: response.results.into_iter().map(outcome).collect(),
                });
            }
            Command::Get { call, names } => {
                let request = GetParameters::Request { names };
                self.answer(name, call, clients.get.request(&request), move |response| Event::GetResult {
                    call,
                    values: response.values.iter().map(to_value).collect(),
                });
            }
        }
    }

    fn answer<T: Send + 'static>(
        &self,
        name: NodeName,
        call: CallId,
        request: r2r::Result<impl Future<Output = r2r::Result<T>> + Send + 'static>,
        event: impl FnOnce(T) -> Event + Send + 'static,
    ) {
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let event = match request {
                Err(_) => Event::CallFailed { call },
                Ok(answer) => match timeout(GIVE_UP, answer).await {
                    Err(_) => return,
                    Ok(Err(_)) => Event::CallFailed { call },
                    Ok(Ok(response)) => event(response),
                },
            };
            // The node is on its way out if nobody listens any more.
            inputs.send(Input::Planner(name, event)).await.ok();
        });
    }

    /// Sets values and waits for the answer, as on the way out.
    pub(super) async fn set_and_wait(
        &self,
        name: &NodeName,
        values: &[(String, RosValue)],
        patience: Duration,
    ) -> bool {
        let Some(clients) = self.nodes.get(name) else { return false };
        let request = SetParametersAtomically::Request { parameters: to_parameters(values) };
        let Ok(answer) = clients.atomically.request(&request) else { return false };
        matches!(timeout(patience, answer).await, Ok(Ok(response)) if response.result.successful)
    }
}

/// Says when a server comes and goes, and once a second that it is there.
async fn watch(
    name: NodeName,
    client: Arc<r2r::Client<SetParametersAtomically::Service>>,
    inputs: Sender<Input>,
) -> Option<()> {
    let tell = async |available| inputs.send(Input::Planner(name.clone(), Event::Available(available))).await.ok();
    tell(false).await?;
    loop {
        // Pends until the server is there. Made once an absence: r2r keeps every such future until then.
        r2r::Node::is_available(&*client).ok()?.await.ok()?;
        for look in 0_u32.. {
            if look.is_multiple_of(10) {
                tell(true).await?;
            }
            sleep(LOOK_EVERY).await;
            let mut still_there = r2r::Node::is_available(&*client).ok()?.boxed();
            if timeout(LOOK_TAKES, &mut still_there).await.is_err() {
                tell(false).await?;
                still_there.await.ok()?;
                tell(true).await?;
            }
        }
    }
}

fn to_parameters(values: &[(String, RosValue)]) -> Vec<Parameter> {
    let parameter = |(name, value): &(String, RosValue)| Parameter {
        name: name.clone(),
        value: match *value {
            RosValue::Integer(integer_value) => {
                ParameterValue { type_: INTEGER, integer_value, ..ParameterValue::default() }
            }
            RosValue::Double(double_value) => {
                ParameterValue { type_: DOUBLE, double_value, ..ParameterValue::default() }
            }
        },
    };
    values.iter().map(parameter).collect()
}

pub(super) fn to_value(value: &ParameterValue) -> Option<RosValue> {
    match value.type_ {
        INTEGER => Some(RosValue::Integer(value.integer_value)),
        DOUBLE => Some(RosValue::Double(value.double_value)),
        _ => None,
    }
}

fn outcome(result: SetParametersResult) -> SetOutcome {
    SetOutcome { successful: result.successful, reason: result.reason }
}
