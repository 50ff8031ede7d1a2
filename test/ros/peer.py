"""A rclpy node that does what a test tells it to.

Commands come as JSON lines on stdin, what happens goes out as JSON lines on stdout: {"event": ..., ...}. Images are
published by `play`, everything that the tuner publishes is reported.
"""

import array
import csv
import io
import json
import math
import os
import sys
import threading
import time

import rclpy
from action_msgs.msg import GoalStatus, GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from PIL import Image as Picture
from rcl_interfaces.msg import Log, Parameter, ParameterEvent, ParameterType, ParameterValue
from rcl_interfaces.srv import (DescribeParameters, GetParameters, GetParameterTypes, ListParameters, SetParameters,
                                SetParametersAtomically)
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32MultiArray, Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger

from scenes import Scenes

TUNER = os.environ.get('TUNER', '/planner_tuner')
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

output = threading.Lock()


def report(event, **values):
    with output:
        sys.stdout.write(json.dumps({'event': event, **values}) + '\n')
        sys.stdout.flush()


def nanoseconds(stamp):
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def set_stamp(header, stamp_ns):
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)


class Frames:
    """The pictures and velocities of a drive: a folder with frames.csv."""

    def __init__(self, folder):
        with open(os.path.join(folder, 'frames.csv'), newline='') as table:
            rows = list(csv.DictReader(table))
        self.stamps = [int(row.get('stamp_ns') or round(float(row['time_s']) * 1e9)) for row in rows]
        self.velocities = [(float(row['linear_vel']), float(row['angular_vel'])) for row in rows]
        self.files = [open(os.path.join(folder, row['file']), 'rb').read() for row in rows]
        self.pictures = [Picture.open(io.BytesIO(file)).convert('RGB') for file in self.files]

    def raw(self, index):
        picture = self.pictures[index % len(self.pictures)]
        message = Image(height=picture.height, width=picture.width, encoding='rgb8', step=picture.width * 3)
        message.data = array.array('B', picture.tobytes())
        return message

    def compressed(self, index):
        return CompressedImage(format='png', data=array.array('B', self.files[index % len(self.files)]))


class Peer(Scenes, Node):
    report, tuner = staticmethod(report), TUNER

    def __init__(self):
        super().__init__(os.environ.get('PEER', 'peer'))
        self.frames = None
        self.goals = []
        # Not `publishers` and `clients`: those are rclpy's.
        self.outlets = {}
        self.callers = {}
        self.stopped = threading.Event()
        self.player = None
        self.scanning = threading.Event()
        self.scanner = None
        listen = self.create_subscription
        listen(Float64MultiArray, TUNER + '/parameters', self.on_parameters, 100)
        listen(DiagnosticArray, TUNER + '/decision', self.on_decision, 100)
        listen(DiagnosticStatus, TUNER + '/status', self.on_status, LATCHED)
        listen(DiagnosticArray, '/diagnostics', self.on_diagnostics, 10)
        listen(Log, '/rosout', self.on_log, 100)
        listen(ParameterEvent, '/parameter_events', self.on_parameter_event, 100)

    # What the tuner says

    def on_parameters(self, message):
        label = message.layout.dim[0].label if message.layout.dim else ''
        report('parameters', names=label.split(','), values=[value if math.isfinite(value) else None for value in message.data], at=time.monotonic())

    def on_decision(self, message):
        first, *rest = message.status
        parameters = [{'name': status.name, 'message': status.message, **values_of(status)} for status in rest]
        report('decision', stamp=nanoseconds(message.header.stamp), level=first.level[0], message=first.message,
               values=values_of(first), parameters=parameters)

    def on_status(self, message):
        report('status', level=message.level[0], message=message.message, values=values_of(message))

    def on_diagnostics(self, message):
        lines = [{'name': status.name, 'level': status.level[0], 'message': status.message,
                  'hardware_id': status.hardware_id, 'values': values_of(status)} for status in message.status]
        report('diagnostics', lines=lines)

    def on_log(self, message):
        if TUNER.rsplit('/')[-1] in message.name:
            report('log', level=message.level, text=message.msg)

    def on_parameter_event(self, message):
        if message.node == TUNER:
            values = {parameter.name: plain(parameter.value) for parameter in message.changed_parameters}
            report('parameter_event', values=values)

    # What a test asks for

    def outlet(self, kind, topic, qos):
        key = (kind, topic)
        if key not in self.outlets:
            self.outlets[key] = self.create_publisher(kind, topic, qos)
        return self.outlets[key]

    def do_drive(self, folder):
        self.frames = Frames(folder)
        report('drive', frames=len(self.frames.files))

    def do_listen(self, topic):
        kinds = {'feature': Float32MultiArray, 'attention': Image, 'selector': String}
        kind = kinds[topic]
        name = 'controller_selector' if topic == 'selector' else f'{TUNER}/{topic}'
        qos = LATCHED if topic == 'selector' else 10

        def heard(message):
            size = 0 if kind is String else len(message.data)
            frame = message.header.frame_id if kind is Image else ''
            report(topic, size=size, frame_id=frame, text=message.data if kind is String else '')
        self.create_subscription(kind, name, heard, qos)
        report('listening', topic=topic)

    def do_publishers(self, topic):
        found = self.get_publishers_info_by_topic(topic)
        report('publishers', topic=topic, nodes=[info.node_name for info in found])

    def do_play(self, **options):
        self.do_stop()
        self.stopped.clear()
        self.player = threading.Thread(target=self.play, kwargs=options, daemon=True)
        self.player.start()

    def do_stop(self):
        self.stopped.set()
        if self.player is not None:
            self.player.join()

    def play(self, rate=2.0, count=None, speed=None, transport='raw', topic=None, odometry=True, stamps='now',
             offset=0.0, still=False, velocity=None, reliable=False, mend=None, first=0, frame_id=''):
        """Publishes the drive. With `speed` its own stamps on a /clock that runs that much faster than time, else at
        `rate` with stamps of now plus `offset` seconds."""
        kind = CompressedImage if transport == 'compressed' else Image
        topic = topic or ('costmap_image/compressed' if transport == 'compressed' else 'costmap_image')
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=reliability)
        images = self.outlet(kind, topic, qos)
        twists = self.outlet(Odometry, 'odometry', 50)
        clock = self.outlet(Clock, '/clock', 10) if speed else None
        count = count or len(self.frames.files)
        begin, sim_begin = time.monotonic(), self.frames.stamps[0] - 500_000_000
        raws = [self.frames.raw(i) for i in range(min(count, len(self.frames.files)))] if transport == 'raw' else None

        def sleep_until(moment):
            while not self.stopped.is_set():
                if clock is not None:
                    sim = sim_begin + int((time.monotonic() - begin) * speed * 1e9)
                    tick = Clock()
                    tick.clock.sec, tick.clock.nanosec = divmod(sim, 1_000_000_000)
                    clock.publish(tick)
                left = moment - time.monotonic()
                if left <= 0:
                    return
                time.sleep(min(left, 0.005 if clock is not None else 0.1))

        for turn in range(count):
            index = 0 if still else (first + turn) % len(self.frames.files)
            if speed:
                stamp = self.frames.stamps[index]
                sleep_until(begin + (stamp - sim_begin) * 1e-9 / speed)
            else:
                sleep_until(begin + turn / rate)
                stamp = self.get_clock().now().nanoseconds + int(offset * 1e9)
            if self.stopped.is_set():
                break
            stamp = {'now': stamp, 'zero': 0, 'alternate': stamp - (turn % 2) * 5_000_000_000}[stamps]
            if odometry:
                twist = Odometry()
                set_stamp(twist.header, stamp or self.get_clock().now().nanoseconds)
                linear, angular = velocity or self.frames.velocities[index]
                twist.twist.twist.linear.x, twist.twist.twist.angular.z = float(linear), float(angular)
                twists.publish(twist)
            image = raws[index] if raws else self.frames.compressed(index)
            set_stamp(image.header, stamp)
            image.header.frame_id = frame_id
            for field, value in (mend or {}).items():
                setattr(image, field, array.array('B', value) if field == 'data' else value)
            images.publish(image)
        if speed:
            sleep_until(time.monotonic() + 0.5)
        if not self.stopped.is_set():
            report('played', count=count)

    def do_clock(self, seconds):
        tick = Clock()
        tick.clock.sec = seconds
        self.outlet(Clock, '/clock', 10).publish(tick)
        report('clock', seconds=seconds)

    def do_goal(self, number):
        """Works on goal `number` from now on; the ones before have succeeded."""
        for goal in self.goals:
            goal.status = GoalStatus.STATUS_SUCCEEDED
        goal = GoalStatus(status=GoalStatus.STATUS_EXECUTING)
        goal.goal_info.goal_id.uuid = [number] * 16
        self.goals.append(goal)
        self.outlet(GoalStatusArray, 'navigate_to_pose/_action/status', LATCHED).publish(
            GoalStatusArray(status_list=self.goals))
        report('goal', number=number)

    def do_offer(self, topic, latched):
        """Offers goal states, and says nothing."""
        self.outlet(GoalStatusArray, topic, LATCHED if latched else 10)
        report('offered', topic=topic)

    def call(self, kind, name, request):
        key = (kind, name)
        if key not in self.callers:
            self.callers[key] = self.create_client(kind, name)
        client = self.callers[key]
        if not client.wait_for_service(5.0):
            return report('answer', service=name, error='there is no such service')
        client.call_async(request).add_done_callback(lambda future: self.answered(name, future.result()))

    def answered(self, name, response):
        if hasattr(response, 'success'):
            values = {'success': response.success, 'message': response.message}
        elif hasattr(response, 'descriptors'):
            values = {'descriptors': [describe(descriptor) for descriptor in response.descriptors]}
        elif hasattr(response, 'results'):
            values = {'results': [[result.successful, result.reason] for result in response.results]}
        elif hasattr(response, 'types'):
            values = {'types': list(response.types)}
        elif hasattr(response, 'values'):
            values = {'values': [plain(value) for value in response.values]}
        elif hasattr(response, 'result') and hasattr(response.result, 'names'):
            values = {'names': list(response.result.names)}
        else:
            values = {'results': [[response.result.successful, response.result.reason]]}
        report('answer', service=name, **values)

    def do_switch(self, service, on):
        self.call(SetBool, f'{TUNER}/{service}', SetBool.Request(data=on))

    def do_trigger(self, service):
        self.call(Trigger, f'{TUNER}/{service}', Trigger.Request())

    def do_set(self, values, node=TUNER, atomically=False):
        kind, name = ((SetParametersAtomically, 'set_parameters_atomically') if atomically
                      else (SetParameters, 'set_parameters'))
        parameters = [Parameter(name=key, value=message(value)) for key, value in values.items()]
        self.call(kind, f'{node}/{name}', kind.Request(parameters=parameters))

    def do_get(self, names, node=TUNER):
        self.call(GetParameters, f'{node}/get_parameters', GetParameters.Request(names=names))

    def do_describe(self, names):
        self.call(DescribeParameters, f'{TUNER}/describe_parameters', DescribeParameters.Request(names=names))

    def do_types(self, names):
        self.call(GetParameterTypes, f'{TUNER}/get_parameter_types', GetParameterTypes.Request(names=names))

    def do_services(self):
        """As `ros2 node info` asks."""
        space, name = TUNER.rsplit('/', 1)
        deadline = time.monotonic() + 10
        # Names are told in a topic of their own, which may come after the services.
        while name not in self.get_node_names() and time.monotonic() < deadline:
            time.sleep(0.05)
        services = self.get_service_names_and_types_by_node(name, space or '/')
        report('services', services={service: kinds for service, kinds in services})

    def do_list(self):
        self.call(ListParameters, f'{TUNER}/list_parameters', ListParameters.Request())

    def do_nodes(self):
        names = [f'{space.rstrip("/")}/{name}' for name, space in self.get_node_names_and_namespaces()]
        report('nodes', names=names)

    def do_topics(self):
        report('topics', topics={name: kinds for name, kinds in self.get_topic_names_and_types()})


def values_of(status):
    return {value.key: value.value for value in status.values}


def describe(descriptor):
    ranges = [[r.from_value, r.to_value] for r in (*descriptor.floating_point_range, *descriptor.integer_range)]
    return {'name': descriptor.name, 'type': descriptor.type, 'description': descriptor.description,
            'read_only': descriptor.read_only, 'constraints': descriptor.additional_constraints, 'ranges': ranges}


def plain(value):
    return {ParameterType.PARAMETER_BOOL: value.bool_value, ParameterType.PARAMETER_INTEGER: value.integer_value,
            ParameterType.PARAMETER_DOUBLE: value.double_value,
            ParameterType.PARAMETER_STRING: value.string_value}.get(value.type)


def message(value):
    if isinstance(value, bool):
        return ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value)
    if isinstance(value, int):
        return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
    if isinstance(value, float):
        return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)


def main():
    rclpy.init()
    peer = Peer()
    executor = SingleThreadedExecutor()
    executor.add_node(peer)
    threading.Thread(target=executor.spin, daemon=True).start()
    report('ready')
    for line in sys.stdin:
        command = json.loads(line)
        getattr(peer, 'do_' + command.pop('do'))(**command)
    os._exit(0)


main()
