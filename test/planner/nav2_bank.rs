//! Banks of controllers, made of decisions.

use vlm_planner_tuner::nav2::{
    ControllerValues, Mapping, RosValue, banked_parameters, design, mapping_with_bank, nav2_parameters,
    quantisation_loss,
};
use vlm_planner_tuner::planner::PlannerSpec;

fn dwa() -> PlannerSpec {
    PlannerSpec::builtin("dwa").unwrap()
}

/// 2,000 decisions around five that a policy likes.
fn decisions(planner: &PlannerSpec) -> Vec<ControllerValues> {
    let parameters = banked_parameters(planner).unwrap();
    let mut random = 1_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(random >> 8) / f64::from(1 << 24)
    };
    let liked: Vec<Vec<f64>> = (0..5).map(|_| parameters.iter().map(|_| 0.1 + 0.8 * next()).collect()).collect();
    let decision = |turn: usize| {
        let values = parameters.iter().zip(&liked[turn % 5]).map(|(parameter, share)| {
            let share = share + 0.05 * (next() - 0.5);
            let value = parameter.min() + share * (parameter.max() - parameter.min());
            if parameter.is_integer() { value.round() } else { value }
        });
        values.collect()
    };
    (0..2000).map(decision).collect()
}

#[test]
fn a_bank_of_twelve_stands_for_two_thousand_decisions() {
    let planner = dwa();
    let parameters = banked_parameters(&planner).unwrap();
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(!names.contains(&"inflation_radius"), "it stays live on the costmap");
    let decisions = decisions(&planner);
    let controllers = design(&parameters, &decisions, 12, 0);
    assert_eq!(controllers.len(), 12);
    assert_eq!(controllers[0], [0.5, 1.57, 6.0, 20.0, 0.75, 1.0], "the safe defaults, as they are");
    assert_eq!(controllers, design(&parameters, &decisions, 12, 0), "the same again");
    let losses = quantisation_loss(&parameters, &decisions, &controllers);
    for loss in &losses {
        assert!(loss.mean_share < 0.04, "{loss:?}");
        assert!(loss.largest >= loss.mean);
    }
    // With the safe defaults alone, as much is lost as the decisions are away from them.
    let alone = quantisation_loss(&parameters, &decisions, &controllers[..1]);
    let by_hand = decisions.iter().map(|values| (values[0] - 0.5).abs()).sum::<f64>() / 2000.0;
    assert!((alone[0].mean - by_hand).abs() < 1e-12);
}

#[test]
fn fewer_decisions_than_controllers_make_a_smaller_bank() {
    let planner = dwa();
    let parameters = banked_parameters(&planner).unwrap();
    let decision = vec![1.0, 1.0, 8.0, 30.0, 0.5, 0.5];
    let controllers = design(&parameters, &[decision.clone(), decision.clone()], 12, 0);
    assert_eq!(controllers, [planner_safe(&planner), decision]);
}

fn planner_safe(planner: &PlannerSpec) -> ControllerValues {
    banked_parameters(planner).unwrap().iter().map(|parameter| parameter.safe_default()).collect()
}

#[test]
fn the_mapping_and_nav2s_parameters_say_the_same() {
    let planner = dwa();
    let parameters = banked_parameters(&planner).unwrap();
    let controllers = design(&parameters, &decisions(&planner), 12, 0);
    let text = mapping_with_bank(&parameters, &controllers);
    let mapping = Mapping::from_yaml(&text, "nav2_bank.yaml", &planner).unwrap();
    let set: Vec<&str> = mapping.targets().iter().map(|target| target.ros_parameter()).collect();
    assert_eq!(set, ["inflation_layer.inflation_radius"], "nothing is set on controller_server");
    let nav2: serde_yaml::Value = serde_yaml::from_str(&nav2_parameters(&mapping, None).unwrap()).unwrap();
    let server = &nav2["controller_server"]["ros__parameters"];
    let ids: Vec<&str> =
        server["controller_plugins"].as_sequence().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let bank = mapping.bank().unwrap();
    assert_eq!(ids, bank.controllers().iter().map(|controller| controller.id()).collect::<Vec<_>>());
    assert_eq!(bank.node().unwrap().as_str(), "controller_server");
    for controller in bank.controllers() {
        assert_eq!(server[controller.id()]["plugin"], "dwb_core::DWBLocalPlanner");
        assert_eq!(controller.expected().len(), 6);
        for (_, ros_parameter, value) in controller.expected() {
            let (_, name) = ros_parameter.split_once('.').unwrap();
            match value {
                RosValue::Integer(value) => assert_eq!(server[controller.id()][name].as_i64(), Some(*value), "{name}"),
                RosValue::Double(value) => assert_eq!(server[controller.id()][name].as_f64(), Some(*value), "{name}"),
            }
        }
    }
    assert_eq!(nav2["local_costmap"]["local_costmap"]["ros__parameters"]["rolling_window"], true);
    let without = nav2_parameters(&mapping, Some("controller_server: {ros__parameters: {}}")).unwrap_err();
    assert!(without.to_string().contains("no controller_server.ros__parameters.FollowPath"), "{without}");
}
