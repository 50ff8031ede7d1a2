//! The robot's outline as the navigation stack sees it: the polygon of its parameter file, padded.

use planner_tuner_core::pose::{Pose, Position};

/// A polygon around the robot's centre, at least a triangle.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint {
    corners: Vec<[f64; 2]>,
}

/// Where a robot stands, with its heading as sine and cosine: what many points of its frame are brought into the map by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    position: Position,
    sin: f64,
    cos: f64,
}

impl Placement {
    /// The place and heading of a pose.
    pub fn of(Pose { position, yaw }: Pose) -> Self {
        let (sin, cos) = yaw.sin_cos();
        Self { position, sin, cos }
    }

    /// Where the robot looks, as a vector of length 1.
    pub fn ahead(&self) -> [f64; 2] {
        [self.cos, self.sin]
    }

    /// A point of the robot's frame in the map, m.
    pub fn in_the_map(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let Self { position, sin, cos } = self;
        [position.x + (x * cos - y * sin), position.y + (x * sin + y * cos)]
    }
}

impl Footprint {
    /// The footprint of the original's Jackal, 0.62 x 0.53 m: ±0.21 x ±0.165 padded by 0.1, each rounded to f32 on its way
    /// through the parameter server's text.
    pub fn jackal() -> Self {
        let padded = |half: f32| f64::from(half) + f64::from(0.1_f32);
        let (x, y) = (padded(0.21), padded(0.165));
        Self { corners: vec![[-x, -y], [-x, y], [x, y], [x, -y]] }
    }

    /// A footprint of these corners in order, m in the robot's frame; `None` for fewer than three or one that is not finite.
    pub fn from_corners(corners: Vec<[f64; 2]>) -> Option<Self> {
        (corners.len() >= 3 && corners.iter().flatten().all(|value| value.is_finite())).then_some(Self { corners })
    }

    /// The corners in order, m in the robot's frame.
    pub fn corners(&self) -> &[[f64; 2]] {
        &self.corners
    }

    /// The corners where the robot stands.
    pub fn at(&self, pose: Pose) -> impl Iterator<Item = [f64; 2]> + '_ {
        self.placed(Placement::of(pose))
    }

    /// The corners where the robot stands.
    pub fn placed(&self, robot: Placement) -> impl Iterator<Item = [f64; 2]> + '_ {
        self.corners.iter().map(move |corner| robot.in_the_map(*corner))
    }

    /// Distance from the centre to the nearest edge or corner, m.
    pub fn inscribed_radius(&self) -> f64 {
        self.radii().0
    }

    /// Distance from the centre to the farthest corner, m.
    pub fn circumscribed_radius(&self) -> f64 {
        self.radii().1
    }

    /// `calculateMinAndMaxDistances` of costmap_2d's footprint.cpp.
    fn radii(&self) -> (f64, f64) {
        let following = self.corners.iter().cycle().skip(1);
        self.corners.iter().zip(following).fold((f64::MAX, 0.0_f64), |(inscribed, circumscribed), (from, to)| {
            let corner = from[0].hypot(from[1]);
            (inscribed.min(corner).min(distance_to_edge(*from, *to)), circumscribed.max(corner))
        })
    }
}

/// From the centre to an edge, m (`distanceToLine`).
fn distance_to_edge(from: [f64; 2], to: [f64; 2]) -> f64 {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let along = ((0.0 - from[0]) * dx + (0.0 - from[1]) * dy) / (dx * dx + dy * dy);
    let nearest = if along < 0.0 {
        from
    } else if along > 1.0 {
        to
    } else {
        [from[0] + along * dx, from[1] + along * dy]
    };
    nearest[0].hypot(nearest[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jackal_of_the_original() {
        let footprint = Footprint::jackal();
        assert_eq!(footprint.corners()[2], [0.309_999_994_933_605_2, 0.265_000_008_046_627_04]);
        assert_eq!(footprint.inscribed_radius(), 0.265_000_008_046_627_04);
        assert_eq!(footprint.circumscribed_radius(), 0.407_829_622_665_577_9);
    }

    #[test]
    fn a_line_is_no_footprint() {
        assert_eq!(Footprint::from_corners(vec![[0.0, 0.0], [1.0, 0.0]]), None);
        assert_eq!(Footprint::from_corners(vec![[0.0, 0.0], [1.0, 0.0], [f64::NAN, 1.0]]), None);
    }
}
