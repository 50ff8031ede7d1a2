"""The tuner beside a recording: the same numbers as `planner_tuner replay`, live. Ends when the recording has ended.

    ros2 launch vlm_planner_tuner replay.launch.py bag:=drive/ checkpoint:=/models/dwa
"""

import math
import os

from launch import LaunchDescription
from launch.actions import (DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, OpaqueFunction, Shutdown,
                            TimerAction)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
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
# Seconds for the decision on the last image.
LAST_DECISION = 5.0


def expanded(path):
    """No shell expands what stands behind `:=`."""
    return os.path.expanduser(os.path.expandvars(path))


def is_true(name, text):
    if text.lower() in ('true', '1'):
        return True
    if text.lower() in ('false', '0', ''):
        return False
    raise RuntimeError(f"{name}:={text} is neither true nor false")


def number(name, text, what, least):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= least):
        raise RuntimeError(f'{name}:={text} is not {what}')
    return value


def replay(context):
    # Everything is checked before the first node: one that starts while the launch fails is left alone.
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    bag = expanded(value['bag'])
    if not os.path.exists(bag):
        raise RuntimeError(f'bag: there is no recording {bag}')
    number('rate', value['rate'], 'a positive number', 1e-3)
    delay = number('delay', value['delay'], 'a number of seconds', 0.0)
    loop = ['--loop'] if is_true('loop', value['loop']) else []
    share = FindPackageShare(PACKAGE).perform(context)
    tuner = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(os.path.join(share, 'launch', 'tuner.launch.py')),
        launch_arguments={
            'use_sim_time': 'true',
            **{name: value[name] for name, _, _ in ARGUMENTS[FOR_PLAYER:]},
        }.items(),
    )
    # Raw images need large buffers on both sides.
    profile = os.environ.get(DDS_PROFILE) or os.path.join(share, 'config', 'fastdds_images.xml')
    player = ExecuteProcess(
        cmd=['ros2', 'bag', 'play', bag, '--clock', '200', '--rate', value['rate'], *loop],
        additional_env={DDS_PROFILE: profile},
        output='screen',
        on_exit=[TimerAction(period=LAST_DECISION, actions=[Shutdown(reason='the recording has ended')])],
    )
    return [tuner, TimerAction(period=delay, actions=[player])]


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=replay)])
