"""Nav2 for a Jackal with a DWB FollowPath, and the tuner on top.

    ros2 launch vlm_planner_tuner nav2.launch.py map:=/maps/lab.yaml checkpoint:=/models/dwa mode:=active
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'vlm_planner_tuner'

# Name, default (None: must be given), description, for Nav2 or for the tuner or for both.
ARGUMENTS = [
    ('namespace', '', 'Namespace of the robot', 'both'),
    ('use_sim_time', 'false', 'Take the time from /clock', 'both'),
    ('map', None, 'Map of the place, a YAML file', 'nav2'),
    ('nav2_params_file', None, 'Parameters of Nav2', 'nav2'),
    ('params_file', 'jackal_dwb.yaml', 'Parameters of the tuner', 'tuner'),
    ('base', '', 'Base model: a folder, or an id on the Hugging Face Hub', 'tuner'),
    ('checkpoint', '', 'Folder of the supervised checkpoint', 'tuner'),
    ('policy', '', 'Policy: prefix, folder or actor file', 'tuner'),
    ('mode', 'shadow', 'shadow sets nothing until ~/enable is called; active sets from the start', 'tuner'),
    ('device', '', 'Where to compute: cpu or cuda:N', 'tuner'),
    ('image_topic', 'costmap_image', 'Topic of the costmap images', 'tuner'),
    ('odometry_topic', 'platform/odom/filtered', 'Topic of the odometry', 'tuner'),
]


def included(package, file, names, **more):
    """A launch file of a package with some of the arguments. In a group of its own: what it sets must not reach the
    next one, whose arguments have the same names."""
    renamed = {'nav2_params_file': 'params_file'}
    source = PathJoinSubstitution([FindPackageShare(package), 'launch', file])
    arguments = {renamed.get(name, name): LaunchConfiguration(name) for name in names}
    arguments.update(more)
    return GroupAction([
        IncludeLaunchDescription(PythonLaunchDescriptionSource(source), launch_arguments=arguments.items())])


def generate_launch_description():
    shipped = PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', 'jackal_nav2_dwb.yaml'])
    defaults = {'nav2_params_file': shipped}
    declared = [DeclareLaunchArgument(name, default_value=defaults.get(name, default), description=description)
                for name, default, description, _ in ARGUMENTS]
    for_nav2 = [name for name, _, _, whose in ARGUMENTS if whose in ('nav2', 'both')]
    for_tuner = [name for name, _, _, whose in ARGUMENTS if whose in ('tuner', 'both')]
    return LaunchDescription([
        *declared,
        # nav2_bringup looks at the namespace only when it is told to.
        included('nav2_bringup', 'bringup_launch.py', for_nav2,
                 use_namespace=PythonExpression(["'", LaunchConfiguration('namespace'), "' != ''"])),
        included(PACKAGE, 'tuner.launch.py', for_tuner),
    ])
