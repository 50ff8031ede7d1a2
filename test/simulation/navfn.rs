//! Global plans, equal in every potential and every pose.

use planner_tuner_simulation::grid::Cell;
use planner_tuner_simulation::navfn::Navfn;
use serde::Deserialize;

use crate::golden::{GridRuns, cases};
use crate::trajectory_planner::pose;

#[derive(Deserialize)]
struct NavfnCase {
    id: String,
    costmap: GridRuns<usize>,
    start: [f64; 2],
    goal: [f64; 2],
    start_cell: [usize; 2],
    goal_cell: [usize; 2],
    found: bool,
    /// Column, row, potential.
    potential_cells: Vec<(usize, usize, f32)>,
    path_cells_f32: Vec<[f32; 2]>,
    plan: Vec<[f64; 2]>,
}

#[test]
fn plans_of_the_fixture() {
    let mut navfn = Navfn::default();
    let (mut plans, mut potentials) = (0, 0);
    for case in cases::<NavfnCase>("navfn.json") {
        let mut grid = case.costmap.costs();
        let geometry = *grid.geometry();
        let [start, goal] = [case.start, case.goal].map(|[x, y]| pose([x, y, 0.0]));
        let cell = |[x, y]: [f64; 2]| geometry.cell_at(x, y).map(|Cell { x, y }| [x, y]);
        assert_eq!((cell(case.start), cell(case.goal)), (Some(case.start_cell), Some(case.goal_cell)), "{}", case.id);
        // The second time it is the answer to the same question.
        for _ in 0..2 {
            let mut plan = Vec::new();
            let found = navfn.plan(&mut grid, start.position, goal, &mut plan);
            for (x, y, potential) in &case.potential_cells {
                assert_eq!(navfn.potential()[y * geometry.width + x], *potential, "{}: {x}, {y}", case.id);
            }
            assert_eq!(found.is_ok(), case.found, "{}", case.id);
            let path: &[[f32; 2]] = if case.found { navfn.path() } else { &[] };
            assert_eq!(path, case.path_cells_f32, "{}: path", case.id);
            let plan: Vec<[f64; 2]> = plan.iter().map(|pose| [pose.x, pose.y]).collect();
            assert_eq!(plan, case.plan, "{}: plan", case.id);
        }
        plans += 1;
        potentials += case.potential_cells.len();
    }
    println!("{plans} plans and {potentials} potentials are equal");
}
