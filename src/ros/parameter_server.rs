//! The node's parameters as ROS sees them: the six parameter services and /parameter_events.
//!
//! r2r's own handler knows neither ranges nor read-only parameters, and sets a batch one by one.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt as _};
use r2r::rcl_interfaces::msg::{
    FloatingPointRange, IntegerRange, ListParametersResult, Parameter, ParameterDescriptor, ParameterEvent,
    ParameterValue, SetParametersResult,
};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters, SetParametersAtomically,
};
use r2r::{QosProfile, ServiceRequest, WrappedServiceTypeSupport};
use tokio::sync::mpsc::Sender;

use super::clock::{RosTime, time};
use super::{Input, NodeError};
use vlm_planner_tuner::live::{Accepted, Change, Declaration, SettingError, SettingValue, Settings};
use vlm_planner_tuner::planner::guard::Mode;

/// Types as in rcl_interfaces/msg/ParameterType.
const NOT_SET: u8 = 0;
const BOOL: u8 = 1;
const INTEGER: u8 = 2;
const DOUBLE: u8 = 3;
const STRING: u8 = 4;

/// Answers for the parameters.
#[derive(Clone)]
pub(super) struct ParameterServer {
    node: String,
    settings: Arc<Mutex<Settings>>,
    inputs: Sender<Input>,
    events: Arc<Mutex<r2r::Publisher<ParameterEvent>>>,
    clock: RosTime,
}

impl ParameterServer {
    /// Starts answering on the current tokio runtime.
    pub(super) fn start(node: &mut r2r::Node, settings: Settings, inputs: Sender<Input>) -> Result<Self, NodeError> {
        let events = node.create_publisher("/parameter_events", QosProfile::parameter_events())?;
        let server = Self {
            node: node.fully_qualified_name()?,
            settings: Arc::new(Mutex::new(settings)),
            inputs,
            events: Arc::new(Mutex::new(events)),
            clock: RosTime::of(node),
        };
        let name = node.name()?;
        let service = |service: &str| format!("{name}/{service}");
        let qos = QosProfile::parameters;
        let shared = || server.clone();

        let requests = node.create_service::<GetParameters::Service>(&service("get_parameters"), qos())?;
        answer(shared(), requests, async |server, request| GetParameters::Response {
            values: request.names.iter().map(|name| to_message(server.value(name))).collect(),
        });
        let requests = node.create_service::<GetParameterTypes::Service>(&service("get_parameter_types"), qos())?;
        answer(shared(), requests, async |server, request| GetParameterTypes::Response {
            types: request.names.iter().map(|name| to_message(server.value(name)).type_).collect(),
        });
        let requests = node.create_service::<ListParameters::Service>(&service("list_parameters"), qos())?;
        answer(shared(), requests, async |_, request| ListParameters::Response { result: list(&request.prefixes) });
        let requests = node.create_service::<DescribeParameters::Service>(&service("describe_parameters"), qos())?;
        answer(shared(), requests, async |server, request| DescribeParameters::Response {
            descriptors: request.names.iter().map(|name| server.describe(name)).collect(),
        });
        let requests = node.create_service::<SetParameters::Service>(&service("set_parameters"), qos())?;
        answer(shared(), requests, async |server, request| {
            let mut results = Vec::with_capacity(request.parameters.len());
            for parameter in &request.parameters {
                results.push(server.set(std::slice::from_ref(parameter)).await);
            }
            SetParameters::Response { results }
        });
        let requests =
            node.create_service::<SetParametersAtomically::Service>(&service("set_parameters_atomically"), qos())?;
        answer(shared(), requests, async |server, request| SetParametersAtomically::Response {
            result: server.set(&request.parameters).await,
        });
        Ok(server)
    }

    /// Tells parameter `mode` as it is: a service has changed it.
    pub(super) fn mode_is(&self, mode: Mode) {
        let name = mode.as_str();
        let before =
            std::mem::replace(&mut self.settings.lock().unwrap_or_else(PoisonError::into_inner).mode, name.to_owned());
        if before != name {
            let value = to_message(Some(SettingValue::Text(name.to_owned())));
            self.tell(vec![Parameter { name: "mode".to_owned(), value }]);
        }
    }

    /// Publishes what has changed.
    fn tell(&self, changed_parameters: Vec<Parameter>) {
        let (stamp, node) = (time(self.clock.now()), self.node.clone());
        let event = ParameterEvent { stamp, node, changed_parameters, ..Default::default() };
        if let Err(error) = self.events.lock().unwrap_or_else(PoisonError::into_inner).publish(&event) {
            log::warn!("/parameter_events: {error}");
        }
    }

    fn value(&self, name: &str) -> Option<SettingValue> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).get(name)
    }

    fn describe(&self, name: &str) -> ParameterDescriptor {
        let type_ = to_message(self.value(name)).type_;
        match Settings::declaration(name) {
            Ok(declaration) => descriptor(declaration, type_),
            Err(_) => ParameterDescriptor { name: name.to_owned(), ..Default::default() },
        }
    }

    /// All of the changes, or none.
    async fn set(&self, parameters: &[Parameter]) -> SetParametersResult {
        match self.change(parameters) {
            Ok(None) => SetParametersResult { successful: true, ..Default::default() },
            Ok(Some(settings)) => {
                // As they are now: a whole number that was given for a double has become one.
                let now = |parameter: &Parameter| Parameter {
                    name: parameter.name.clone(),
                    value: to_message(settings.get(&parameter.name)),
                };
                let changed_parameters = parameters.iter().map(now).collect();
                // The node is on its way out if nobody listens any more.
                let mode_is_meant = parameters.iter().any(|parameter| parameter.name == "mode");
                self.inputs.send(Input::Settings { settings: Box::new(settings), mode_is_meant }).await.ok();
                self.tell(changed_parameters);
                SetParametersResult { successful: true, ..Default::default() }
            }
            Err(error) => SetParametersResult { successful: false, reason: error.to_string() },
        }
    }

    /// The settings after a change; `None` when nothing changes.
    fn change(&self, parameters: &[Parameter]) -> Result<Option<Settings>, SettingError> {
        let values = parameters
            .iter()
            .map(|parameter| {
                let declaration = Settings::declaration(&parameter.name)?;
                let value = from_message(&parameter.value).ok_or_else(|| SettingError::Range {
                    name: declaration.name,
                    expected: declaration.expected(),
                    found: "an array, or no value at all".into(),
                })?;
                Ok((parameter.name.as_str(), value))
            })
            .collect::<Result<Vec<_>, SettingError>>()?;
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = settings.changed(values.iter().map(|(name, value)| (*name, value)))?;
        if *settings == changed {
            return Ok(None);
        }
        settings.clone_from(&changed);
        Ok(Some(changed))
    }
}

/// Serves requests until the node ends.
fn answer<T, F>(
    server: ParameterServer,
    mut requests: impl Stream<Item = ServiceRequest<T>> + Unpin + Send + 'static,
    respond: impl Fn(ParameterServer, T::Request) -> F + Send + 'static,
) where
    T: WrappedServiceTypeSupport + 'static,
    T::Request: Clone + Send,
    F: Future<Output = T::Response> + Send,
{
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let response = respond(server.clone(), request.message.clone()).await;
            if let Err(error) = request.respond(response) {
                log::warn!("a request for parameters could not be answered: {error}");
            }
        }
    });
}

/// Parameters have flat names: a prefix is a whole name.
fn list(prefixes: &[String]) -> ListParametersResult {
    let names = Settings::DECLARATIONS.iter().map(|declaration| declaration.name.to_owned());
    let asked_for = |name: &String| prefixes.is_empty() || prefixes.contains(name);
    ListParametersResult { names: names.filter(asked_for).collect(), prefixes: Vec::new() }
}

fn descriptor(declaration: &Declaration, type_: u8) -> ParameterDescriptor {
    let Declaration { name, description, unit, accepted, change } = *declaration;
    let unit = if unit.is_empty() { String::new() } else { format!(" [{unit}]") };
    let mut descriptor = ParameterDescriptor {
        name: name.to_owned(),
        type_,
        description: format!("{description}{unit}"),
        read_only: change == Change::AtStart,
        ..Default::default()
    };
    match accepted {
        Accepted::All => {}
        Accepted::OneOf(words) => descriptor.additional_constraints = format!("one of: {}", words.join(", ")),
        Accepted::Between(min, max) if type_ == INTEGER => {
            descriptor.integer_range = vec![IntegerRange { from_value: min as i64, to_value: max as i64, step: 0 }];
        }
        Accepted::Between(from_value, to_value) => {
            descriptor.floating_point_range = vec![FloatingPointRange { from_value, to_value, step: 0.0 }];
        }
    }
    descriptor
}

fn to_message(value: Option<SettingValue>) -> ParameterValue {
    let empty = ParameterValue::default();
    match value {
        None => ParameterValue { type_: NOT_SET, ..empty },
        Some(SettingValue::Bool(bool_value)) => ParameterValue { type_: BOOL, bool_value, ..empty },
        Some(SettingValue::Integer(integer_value)) => ParameterValue { type_: INTEGER, integer_value, ..empty },
        Some(SettingValue::Double(double_value)) => ParameterValue { type_: DOUBLE, double_value, ..empty },
        Some(SettingValue::Text(string_value)) => ParameterValue { type_: STRING, string_value, ..empty },
    }
}

/// `None` for arrays and for no value: no setting is one.
fn from_message(value: &ParameterValue) -> Option<SettingValue> {
    match value.type_ {
        BOOL => Some(SettingValue::Bool(value.bool_value)),
        INTEGER => Some(SettingValue::Integer(value.integer_value)),
        DOUBLE => Some(SettingValue::Double(value.double_value)),
        STRING => Some(SettingValue::Text(value.string_value.clone())),
        _ => None,
    }
}
