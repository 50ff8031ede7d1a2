"""The tuner beside a planner that is running already.

    ros2 launch vlm_planner_tuner tuner.launch.py checkpoint:=/models/dwa policy:=/models/policy_step_1000
"""

import os

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'vlm_planner_tuner'

# Name, default, description. An empty default leaves the parameter to the parameters file.
ARGUMENTS = [
    ('namespace', '', 'Namespace of the robot'),
    ('params_file', 'jackal_dwb.yaml', 'Parameters: a file of this package\'s config folder, or a path'),
    ('base', '', 'Base model: a folder, or an id on the Hugging Face Hub'),
    ('checkpoint', '', 'Folder of the supervised checkpoint'),
    ('policy', '', 'Policy: prefix, folder or actor file'),
    ('policy_folder', '', 'Folder where training leaves policies; each new one takes over while the node runs'),
    ('log_folder', '', 'Folder for the transition log; empty for none'),
    ('planner', '', 'Planner that is tuned: dwa, teb, mppi, ddp, or a YAML file'),
    ('mapping', '', 'Where parameters go: nav2_dwb, nav2_mppi, topic, shadow, or a YAML file'),
    ('mode', '', 'shadow sets nothing until ~/enable is called; active sets from the start'),
    ('device', '', 'Where to compute: cpu or cuda:N'),
    ('image_source', '', 'topic takes costmap images; render draws them from scan, plan and odometry'),
    ('image_transport', '', 'raw or compressed'),
    ('image_topic', 'costmap_image', 'Topic of the costmap images'),
    ('scan_topic', 'sensors/lidar2d_0/scan', 'Topic of the laser scans that images are drawn from'),
    ('plan_topic', '', 'Topic of the plan that is drawn'),
    ('odometry_topic', 'platform/odom/filtered', 'Topic of the odometry'),
    ('use_sim_time', 'false', 'Take the time from /clock'),
    ('dds_profile', '',
     'Fast DDS profile; empty for fastdds_planner.xml where images are given as compressed or drawn, and otherwise '
     'fastdds_images.xml, without which raw ones are lost'),
    ('rviz', 'false', 'Show what the tuner sees and where it looks'),
    ('log_level', 'info', 'debug, info, warn or error'),
]
PATHS = ['params_file', 'base', 'checkpoint', 'policy', 'policy_folder', 'log_folder', 'planner', 'mapping',
         'dds_profile']
TEXT_PARAMETERS = ['base', 'checkpoint', 'policy', 'policy_folder', 'log_folder', 'planner', 'mapping', 'mode',
                   'device', 'image_source', 'image_transport', 'plan_topic']
DDS_PROFILE = 'FASTRTPS_DEFAULT_PROFILES_FILE'


def expanded(path):
    """No shell expands what stands behind `:=`."""
    return os.path.expanduser(os.path.expandvars(path))


def is_true(name, text):
    if text.lower() in ('true', '1'):
        return True
    if text.lower() in ('false', '0', ''):
        return False
    raise RuntimeError(f"{name}:={text} is neither true nor false")


def tuner(context):
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    value.update({name: expanded(value[name]) for name in PATHS})
    config = os.path.join(FindPackageShare(PACKAGE).perform(context), 'config')

    def in_config(name, file):
        path = file if '/' in file else os.path.join(config, file)
        if not os.path.isfile(path):
            known = ', '.join(sorted(os.listdir(config)))
            raise RuntimeError(f'{name}: there is no file {path}; give a path, or one of {known}')
        return path

    # Everything is checked before the first node: one that starts while the launch fails is left alone.
    use_sim_time = is_true('use_sim_time', value['use_sim_time'])
    rviz = is_true('rviz', value['rviz'])
    # Of type str, or a policy named 1000 would become a number.
    given = {name: ParameterValue(value[name], value_type=str) for name in TEXT_PARAMETERS if value[name]}
    if use_sim_time:
        given['use_sim_time'] = True
    images, scans, odometry = value['image_topic'], value['scan_topic'], value['odometry_topic']
    raw = value['image_transport'] != 'compressed' and value['image_source'] != 'render'
    profile = value['dds_profile'] or ('fastdds_images.xml' if raw else 'fastdds_planner.xml')
    # As Nav2 does: a robot with a namespace has its own transforms.
    transforms = [('/tf', 'tf'), ('/tf_static', 'tf_static')]
    nodes = [Node(
        package=PACKAGE,
        executable='planner_tuner_node',
        name='planner_tuner',
        namespace=value['namespace'],
        parameters=[in_config('params_file', value['params_file']), *([given] if given else [])],
        remappings=[
            ('costmap_image', images),
            ('costmap_image/compressed', f'{images}/compressed'),
            ('scan', scans),
            ('odometry', odometry),
            *transforms,
        ],
        # A profile of the user's own stays.
        additional_env={DDS_PROFILE: os.environ.get(DDS_PROFILE) or in_config('dds_profile', profile)},
        ros_arguments=['--log-level', value['log_level']],
        output='screen',
    )]
    if rviz:
        # tuner.rviz has the names of a robot without a namespace; relative ones follow the robot's.
        shown = {'/sensors/lidar2d_0/scan': scans, '/platform/odom/filtered': odometry,
                 '/plan': value['plan_topic'] or 'plan'}
        own = ['goal_pose', 'planner_tuner/attention', 'planner_tuner/costmap_image']
        nodes.append(Node(
            package='rviz2',
            executable='rviz2',
            name='planner_tuner_rviz',
            namespace=value['namespace'],
            arguments=['-d', in_config('rviz', 'tuner.rviz')],
            parameters=[{'use_sim_time': use_sim_time}],
            remappings=[*shown.items(), *((f'/{name}', name) for name in own), *transforms],
            output='screen',
        ))
    return nodes


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=tuner)])
