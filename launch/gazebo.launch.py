"""A Jackal in Gazebo, with Nav2 and the tuner, on simulation time.

    ros2 launch vlm_planner_tuner gazebo.launch.py world:=warehouse map:=warehouse.yaml checkpoint:=/models/dwa

Needs clearpath_gz, or another simulator's launch file given by `simulator_package` and `simulator_launch`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'vlm_planner_tuner'

# Name, default (None: must be given), description. The first four are for the simulator.
ARGUMENTS = [
    ('simulator_package', 'clearpath_gz', 'Package of the simulator\'s launch file'),
    ('simulator_launch', 'simulation.launch.py', 'The simulator\'s launch file'),
    ('world', 'warehouse', 'World, as the simulator names it'),
    ('setup_path', '~/clearpath/', 'Folder of robot.yaml, for the Clearpath simulator'),
    ('namespace', '', 'Namespace of the robot'),
    ('map', None, 'Map of the world, a YAML file'),
    ('base', '', 'Base model: a folder, or an id on the Hugging Face Hub'),
    ('checkpoint', '', 'Folder of the supervised checkpoint'),
    ('policy', '', 'Policy: prefix, folder or actor file'),
    ('mode', 'active', 'shadow sets nothing until ~/enable is called; active sets from the start'),
    ('device', '', 'Where to compute: cpu or cuda:N'),
    ('image_topic', 'costmap_image', 'Topic of the costmap images'),
    ('odometry_topic', 'platform/odom/filtered', 'Topic of the odometry'),
]
FOR_SIMULATOR = ['world', 'setup_path']
FOR_NAV2 = [name for name, _, _ in ARGUMENTS[4:]]


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS]
    # In a group of its own: what it sets must not reach Nav2 and the tuner.
    simulator = GroupAction([IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([
            FindPackageShare(LaunchConfiguration('simulator_package')), 'launch',
            LaunchConfiguration('simulator_launch')])),
        launch_arguments={name: LaunchConfiguration(name) for name in FOR_SIMULATOR}.items(),
    )])
    navigation = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([FindPackageShare(PACKAGE), 'launch', 'nav2.launch.py'])),
        launch_arguments={
            'use_sim_time': 'true',
            **{name: LaunchConfiguration(name) for name in FOR_NAV2},
        }.items(),
    )
    return LaunchDescription([*declared, simulator, navigation])
