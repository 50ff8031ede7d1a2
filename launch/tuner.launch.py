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
TEXT_PARAMETERS = ['base', 'checkpoint', 'policy', 'policy_folder', 'log_folder', 'planner', 'mapping', 'mode',
                   'device', 'image_source', 'image_transport', 'plan_topic']
DDS_PROFILE = 'FASTRTPS_DEFAULT_PROFILES_FILE'


def tuner(context):
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    config = os.path.join(FindPackageShare(PACKAGE).perform(context), 'config')

    def in_config(file):
        return file if '/' in file else os.path.join(config, file)

    # Of type str, or a policy named 1000 would become a number.
    given = {name: ParameterValue(value[name], value_type=str) for name in TEXT_PARAMETERS if value[name]}
    use_sim_time = value['use_sim_time'].lower() in ('true', '1')
    if use_sim_time:
        given['use_sim_time'] = True
    images = value['image_topic']
    raw = value['image_transport'] != 'compressed' and value['image_source'] != 'render'
    profile = value['dds_profile'] or ('fastdds_images.xml' if raw else 'fastdds_planner.xml')
    nodes = [Node(
        package=PACKAGE,
        executable='planner_tuner_node',
        name='planner_tuner',
        namespace=value['namespace'],
        parameters=[in_config(value['params_file']), *([given] if given else [])],
        remappings=[
            ('costmap_image', images),
            ('costmap_image/compressed', f'{images}/compressed'),
            ('scan', value['scan_topic']),
            ('odometry', value['odometry_topic']),
            # As Nav2 does: a robot with a namespace has its own transforms.
            ('/tf', 'tf'),
            ('/tf_static', 'tf_static'),
        ],
        # A profile of the user's own stays.
        additional_env={DDS_PROFILE: os.environ.get(DDS_PROFILE) or in_config(profile)},
        ros_arguments=['--log-level', value['log_level']],
        output='screen',
    )]
    if value['rviz'].lower() in ('true', '1'):
        nodes.append(Node(package='rviz2', executable='rviz2', arguments=['-d', in_config('tuner.rviz')],
                          output='screen', parameters=[{'use_sim_time': use_sim_time}]))
    return nodes


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=tuner)])
