//! The services `~/enable`, `~/hold`, `~/reset_history`, `~/reload_policy`.

use futures::StreamExt as _;
use r2r::QosProfile;
use r2r::std_srvs::srv::{SetBool, Trigger};
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use super::services::Request;
use super::{Input, NodeError};

/// Starts answering on the current tokio runtime.
pub(super) fn start(node: &mut r2r::Node, inputs: &Sender<Input>) -> Result<(), NodeError> {
    type Switch = fn(bool) -> Request;
    let switches = [("~/enable", Request::Enable as Switch), ("~/hold", Request::Hold)];
    for (name, request) in switches {
        let mut requests = node.create_service::<SetBool::Service>(name, QosProfile::services_default())?;
        let inputs = inputs.clone();
        tokio::spawn(async move {
            while let Some(asked) = requests.next().await {
                let (success, message) = ask(&inputs, request(asked.message.data)).await;
                report(name, asked.respond(SetBool::Response { success, message }));
            }
        });
    }
    let triggers = [("~/reset_history", Request::ResetHistory), ("~/reload_policy", Request::ReloadPolicy)];
    for (name, request) in triggers {
        let mut requests = node.create_service::<Trigger::Service>(name, QosProfile::services_default())?;
        let inputs = inputs.clone();
        tokio::spawn(async move {
            while let Some(asked) = requests.next().await {
                let (success, message) = ask(&inputs, request).await;
                report(name, asked.respond(Trigger::Response { success, message }));
            }
        });
    }
    Ok(())
}

async fn ask(inputs: &Sender<Input>, request: Request) -> (bool, String) {
    let (answer, outcome) = oneshot::channel();
    let sent = inputs.send(Input::Request(request, answer)).await;
    match (sent, outcome.await) {
        (Ok(()), Ok(Ok(done))) => (true, done),
        (Ok(()), Ok(Err(refused))) => (false, refused.to_string()),
        _ => (false, "the node is shutting down".into()),
    }
}

fn report(service: &str, responded: r2r::Result<()>) {
    if let Err(error) = responded {
        log::warn!("{service}: the answer could not be sent: {error}");
    }
}
