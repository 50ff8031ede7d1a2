//! Types and definitions of ROS messages, as rosbag2 writes them into MCAP files: the type, then the types it consists of.

use crate::recording::{drive_message, scene_message};

/// What stands before each of them.
macro_rules! part {
    ($name:literal, $fields:literal) => {
        concat!(
            "================================================================================\n",
            "MSG: ",
            $name,
            "\n",
            $fields
        )
    };
}

macro_rules! header {
    () => {
        concat!(
            part!("std_msgs/Header", "builtin_interfaces/Time stamp\nstring frame_id\n"),
            part!("builtin_interfaces/Time", "int32 sec\nuint32 nanosec\n")
        )
    };
}

macro_rules! quaternion {
    () => {
        part!("geometry_msgs/Quaternion", "float64 x\nfloat64 y\nfloat64 z\nfloat64 w\n")
    };
}

macro_rules! pose {
    () => {
        concat!(
            part!("geometry_msgs/Pose", "Point position\nQuaternion orientation\n"),
            part!("geometry_msgs/Point", "float64 x\nfloat64 y\nfloat64 z\n"),
            quaternion!()
        )
    };
}

/// Name and definition.
pub(super) type Definition = (&'static str, &'static str);

pub(super) const LASER_SCAN: Definition = (
    scene_message::LASER_SCAN,
    concat!(
        "std_msgs/Header header\nfloat32 angle_min\nfloat32 angle_max\nfloat32 angle_increment\nfloat32 time_increment\n",
        "float32 scan_time\nfloat32 range_min\nfloat32 range_max\nfloat32[] ranges\nfloat32[] intensities\n",
        header!()
    ),
);

pub(super) const PATH: Definition = (
    scene_message::PATH,
    concat!(
        "std_msgs/Header header\ngeometry_msgs/PoseStamped[] poses\n",
        part!("geometry_msgs/PoseStamped", "std_msgs/Header header\nPose pose\n"),
        pose!(),
        header!()
    ),
);

pub(super) const POSE_STAMPED: Definition =
    (drive_message::POSE_STAMPED, concat!("std_msgs/Header header\nPose pose\n", pose!(), header!()));

pub(super) const TF_MESSAGE: Definition = (
    scene_message::TRANSFORMS,
    concat!(
        "geometry_msgs/TransformStamped[] transforms\n",
        part!("geometry_msgs/TransformStamped", "std_msgs/Header header\nstring child_frame_id\nTransform transform\n"),
        part!("geometry_msgs/Transform", "Vector3 translation\nQuaternion rotation\n"),
        part!("geometry_msgs/Vector3", "float64 x\nfloat64 y\nfloat64 z\n"),
        quaternion!(),
        header!()
    ),
);

pub(super) const OCCUPANCY_GRID: Definition = (
    "nav_msgs/msg/OccupancyGrid",
    concat!(
        "std_msgs/Header header\nMapMetaData info\nint8[] data\n",
        part!(
            "nav_msgs/MapMetaData",
            "builtin_interfaces/Time map_load_time\nfloat32 resolution\nuint32 width\nuint32 height\ngeometry_msgs/Pose origin\n"
        ),
        pose!(),
        header!()
    ),
);
