"""The tuner beside a recording: the same numbers as `planner_tuner replay`, live.

    ros2 launch vlm_planner_tuner replay.launch.py bag:=drive/ checkpoint:=/models/dwa
"""

import os

from launch import LaunchDescription
from launch.actions import (DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, OpaqueFunction,
                            TimerAction)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'vlm_planner_tuner'

# Name, default, description. The first four are for the player, the others go on to tuner.launch.py.
ARGUMENTS = [
    ('bag', None, 'The recording: a rosbag2 folder'),
    ('rate', '1.0', 'How many times as fast as it was recorded'),
    ('loop', 'false', 'Begin again at the end'),
    ('delay', '20.0', 'Seconds until the recording starts: the model must be loaded by then'),
    ('params_file', 'replay.yaml', 'Parameters: a file of this package\'s config folder, or a path'),
    ('base', '', 'Base model: a folder, or an id on the Hugging Face Hub'),
    ('checkpoint', '', 'Folder of the supervised checkpoint'),
    ('policy', '', 'Policy: prefix, folder or actor file'),
    ('planner', '', 'Planner that is tuned: dwa, teb, mppi, ddp, or a YAML file'),
    ('device', '', 'Where to compute: cpu or cuda:N'),
    ('image_transport', '', 'raw or compressed'),
    ('image_topic', 'costmap_image', 'Topic of the costmap images in the recording'),
    ('odometry_topic', 'odometry/filtered', 'Topic of the odometry in the recording'),
]
FOR_PLAYER = 4
DDS_PROFILE = 'FASTRTPS_DEFAULT_PROFILES_FILE'


def player(context):
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS[:FOR_PLAYER]}
    loop = ['--loop'] if value['loop'].lower() in ('true', '1') else []
    play = ['ros2', 'bag', 'play', value['bag'], '--clock', '200', '--rate', value['rate'], *loop]
    # Raw images need large buffers on both sides.
    profile = os.path.join(FindPackageShare(PACKAGE).perform(context), 'config', 'fastdds_images.xml')
    environment = {DDS_PROFILE: os.environ.get(DDS_PROFILE) or profile}
    return [TimerAction(period=float(value['delay']), actions=[
        ExecuteProcess(cmd=play, additional_env=environment, output='screen')])]


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS]
    tuner = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([FindPackageShare(PACKAGE), 'launch', 'tuner.launch.py'])),
        launch_arguments={
            'use_sim_time': 'true',
            **{name: LaunchConfiguration(name) for name, _, _ in ARGUMENTS[FOR_PLAYER:]},
        }.items(),
    )
    return LaunchDescription([*declared, tuner, OpaqueFunction(function=player)])
