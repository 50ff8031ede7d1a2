"""Nav2 for a Jackal, with DWB or MPPI as its FollowPath, and the tuner on top.

    ros2 launch vlm_planner_tuner nav2.launch.py map:=/maps/lab.yaml checkpoint:=/models/dwa mode:=active
    ros2 launch vlm_planner_tuner nav2.launch.py slam:=True controller:=mppi checkpoint:=/models/mppi
"""

import os

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import SetRemap
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'vlm_planner_tuner'

# Name, default, description, for Nav2 or for the tuner or for both.
ARGUMENTS = [
    ('namespace', '', 'Namespace of the robot', 'both'),
    ('use_sim_time', 'false', 'Take the time from /clock', 'both'),
    ('map', '', 'Map of the place, a YAML file; needed unless slam', 'nav2'),
    ('slam', 'False', 'Make a map with slam_toolbox while driving', 'nav2'),
    ('use_composition', 'False', 'All of Nav2 in one process: one crash then takes all of it, and nothing respawns',
     'nav2'),
    ('controller', 'dwb', 'Controller of Nav2: dwb or mppi; chooses both parameter files', 'here'),
    ('nav2_params_file', '', 'Parameters of Nav2; empty for jackal_nav2_<controller>.yaml', 'here'),
    ('params_file', '', 'Parameters of the tuner; empty for jackal_<controller>.yaml', 'here'),
    ('scan_topic', 'sensors/lidar2d_0/scan', 'Topic of the laser scans, as the parameters of Nav2 name it', 'tuner'),
    ('base', '', 'Base model: a folder, or an id on the Hugging Face Hub', 'tuner'),
    ('checkpoint', '', 'Folder of the supervised checkpoint', 'tuner'),
    ('policy', '', 'Policy: prefix, folder or actor file', 'tuner'),
    ('mode', 'shadow', 'shadow sets nothing until ~/enable is called; active sets from the start', 'tuner'),
    ('device', '', 'Where to compute: cpu or cuda:N', 'tuner'),
    ('image_topic', 'costmap_image', 'Topic of the costmap images', 'tuner'),
    ('odometry_topic', 'platform/odom/filtered', 'Topic of the odometry', 'tuner'),
    ('rviz', 'false', 'Show what the tuner sees and where it looks', 'tuner'),
]
PATHS = ['map', 'nav2_params_file', 'params_file', 'base', 'checkpoint', 'policy']
CONTROLLERS = ['dwb', 'mppi']


def expanded(path):
    """No shell expands what stands behind `:=`."""
    return os.path.expanduser(os.path.expandvars(path))


def is_true(name, text):
    if text.lower() in ('true', '1'):
        return True
    if text.lower() in ('false', '0', ''):
        return False
    raise RuntimeError(f"{name}:={text} is neither true nor false")


def checked(context):
    """The arguments, or an error. Nothing has been started yet: a node that starts while a launch fails is left alone."""
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _, _ in ARGUMENTS}
    value.update({name: expanded(value[name]) for name in PATHS})
    # Nav2 reads them as Python.
    for name in ['slam', 'use_composition']:
        value[name] = str(is_true(name, value[name]))
    if value['controller'] not in CONTROLLERS:
        raise RuntimeError(f"controller:={value['controller']} is not known, expected one of {', '.join(CONTROLLERS)}")
    config = os.path.join(FindPackageShare(PACKAGE).perform(context), 'config')
    for name, file in [('nav2_params_file', 'jackal_nav2_{}.yaml'), ('params_file', 'jackal_{}.yaml')]:
        file = value[name] or file.format(value['controller'])
        value[name] = file if '/' in file else os.path.join(config, file)
    if value['slam'] == 'False' and not value['map']:
        raise RuntimeError('there is no map: give map:=<a YAML file>, or slam:=True to make one while driving')
    for name in ['map', 'nav2_params_file', 'params_file']:
        if value[name] and not os.path.isfile(value[name]):
            raise RuntimeError(f'{name}: there is no file {value[name]}')
    return value


def included(context, package, file, arguments):
    path = os.path.join(FindPackageShare(package).perform(context), 'launch', file)
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(path), launch_arguments=arguments.items())


def navigation(context):
    value = checked(context)
    for_nav2 = {name: value[name] for name, _, _, whose in ARGUMENTS if whose in ('nav2', 'both')}
    for_nav2['params_file'] = value['nav2_params_file']
    # nav2_bringup looks at the namespace only when it is told to.
    for_nav2['use_namespace'] = str(value['namespace'] != '')
    for_tuner = {name: value[name] for name, _, _, whose in ARGUMENTS if whose in ('tuner', 'both')}
    for_tuner['params_file'] = value['params_file']
    tuner = included(context, PACKAGE, 'tuner.launch.py', for_tuner)
    nav2 = included(context, 'nav2_bringup', 'bringup_launch.py', for_nav2)
    return [
        # In a group of its own: what it sets must not reach Nav2, whose arguments have the same names. A group's
        # settings are gone when an event comes later, so that whoever waits for one stands outside, and last.
        GroupAction([tuner]),
        *scans_of_costmaps(value['namespace'], value['scan_topic']),
        nav2,
    ]


def scans_of_costmaps(namespace, scan_topic):
    """A costmap takes a relative topic as below its own node, where nobody publishes: the robot would drive blind."""
    if scan_topic.startswith('/'):
        return []
    robot = f"/{namespace.strip('/')}" if namespace.strip('/') else ''
    return [SetRemap(f'{robot}/{costmap}/{scan_topic}', f'{robot}/{scan_topic}')
            for costmap in ['local_costmap', 'global_costmap']]


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description, _ in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=navigation)])
