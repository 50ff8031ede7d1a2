"""A Jackal in Gazebo, with Nav2 and the tuner, on simulation time.

    ros2 launch vlm_planner_tuner gazebo.launch.py world:=warehouse map:=warehouse.yaml checkpoint:=/models/dwa

Needs clearpath_gz, or another simulator's launch file given by `simulator_package` and `simulator_launch`.
"""

import os

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'vlm_planner_tuner'

# Name, default, description. The first four are for the simulator.
ARGUMENTS = [
    ('simulator_package', 'clearpath_gz', 'Package of the simulator\'s launch file'),
    ('simulator_launch', 'simulation.launch.py', 'The simulator\'s launch file'),
    ('world', 'warehouse', 'World, as the simulator names it'),
    ('setup_path', '~/clearpath/', 'Folder of robot.yaml, for the Clearpath simulator'),
    ('namespace', '', 'Namespace of the robot'),
    ('map', '', 'Map of the world, a YAML file; needed unless slam'),
    ('slam', 'False', 'Make a map with slam_toolbox while driving'),
    ('controller', 'dwb', 'Controller of Nav2: dwb or mppi'),
    ('base', '', 'Base model: a folder, or an id on the Hugging Face Hub'),
    ('checkpoint', '', 'Folder of the supervised checkpoint'),
    ('policy', '', 'Policy: prefix, folder or actor file'),
    ('mode', 'active', 'shadow sets nothing until ~/enable is called; active sets from the start'),
    ('device', '', 'Where to compute: cpu or cuda:N'),
    ('image_topic', 'costmap_image', 'Topic of the costmap images'),
    ('odometry_topic', 'platform/odom/filtered', 'Topic of the odometry'),
]
FOR_SIMULATOR = ['world', 'setup_path']
FOR_NAVIGATION = [name for name, _, _ in ARGUMENTS[4:]]


def expanded(path):
    """No shell expands what stands behind `:=`."""
    return os.path.expanduser(os.path.expandvars(path))


def included(context, package, file, arguments):
    path = os.path.join(FindPackageShare(package).perform(context), 'launch', file)
    if not os.path.isfile(path):
        raise RuntimeError(f'{package} has no launch file {path}')
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(path), launch_arguments=arguments.items())


def simulation(context):
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    # Both are found before either is started. nav2.launch.py expands its own paths.
    navigation = included(context, PACKAGE, 'nav2.launch.py',
                          {'use_sim_time': 'true', **{name: value[name] for name in FOR_NAVIGATION}})
    simulator = included(context, value['simulator_package'], value['simulator_launch'],
                         {name: expanded(value[name]) for name in FOR_SIMULATOR})
    # A group's settings are gone when an event comes later, and simulators wait for events: Clearpath's starts the
    # robot when its generators have ended. So the navigation is in the group, where its settings do not reach the
    # simulator, and the simulator stands last and outside.
    return [GroupAction([navigation]), simulator]


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=simulation)])
