"""Nav2's controller_server and local costmap, as far as their parameters go.

Behaves as Jazzy's do: everything declared is accepted, whatever its value; undeclared names and other types are refused
in rclcpp's words by rclpy itself. Arguments add faults:
    --refuse NAME           refuses that parameter, as a locked one
    --swallow               never answers from the first set on
    --die-on N              killed in the N-th set, as by a use-after-free
    --without NAME          does not declare that parameter
    --declare JSON          declares these on the controller_server, too
    --mppi                  has an MPPI controller: each set makes it lose speed, which is reported twice a second
    --unspun                the costmap's services are there and answer nothing until {"spin": true} on stdin
    --costmap sees|blind    publishes a scan with a wall around, and a local costmap that has it or has nothing
    --state STATE           is a managed node in that state; {"state": ..., "from": ...} on stdin changes it
Every set is reported as a JSON line on stdout.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time

import rclpy
from lifecycle_msgs.msg import State, TransitionEvent
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import OccupancyGrid
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import LaserScan

CONTROLLER = {
    'FollowPath.max_vel_x': 0.26, 'FollowPath.max_vel_theta': 1.0, 'FollowPath.vx_samples': 20,
    'FollowPath.vtheta_samples': 20, 'FollowPath.PathDist.scale': 32.0, 'FollowPath.GoalDist.scale': 24.0,
    'controller_frequency': 20.0,
}
MPPI = {
    'FollowPath.vx_max': 0.5, 'FollowPath.wz_max': 1.9, 'FollowPath.batch_size': 2000, 'FollowPath.time_steps': 56,
    'FollowPath.vx_std': 0.2, 'FollowPath.wz_std': 0.4, 'FollowPath.temperature': 0.3, 'controller_frequency': 20.0,
}
COSTMAP = {'inflation_layer.inflation_radius': 0.55, 'inflation_layer.cost_scaling_factor': 3.0}

output = threading.Lock()


def report(event, **values):
    with output:
        sys.stdout.write(json.dumps({'event': event, **values}) + '\n')
        sys.stdout.flush()


class Server(Node):
    def __init__(self, name, namespace, parameters, faults):
        super().__init__(name, namespace=namespace)
        self.faults = faults
        self.sets = 0
        for key, value in parameters.items():
            if key not in faults.without:
                self.declare_parameter(key, value)
        self.add_on_set_parameters_callback(self.on_set)
        self.state = None

    def manage(self, state):
        self.state = state
        self.create_service(GetState, '~/get_state', self.on_get_state)
        self.transitions = self.create_publisher(TransitionEvent, '~/transition_event', 10)

    def on_get_state(self, _, response):
        response.current_state.id = self.state
        return response

    def enter(self, state):
        event = TransitionEvent(start_state=State(id=self.state), goal_state=State(id=state))
        self.state = state
        self.transitions.publish(event)

    def drive(self):
        """Forgets its last control sequence in each set. Measured with the real one: 0.49 m/s without sets, 0.42 with one in
        2 s, 0.23 with two a second; this one makes 0.49, 0.42 and 0.24 of it."""
        self.speed, self.driven, self.since = 0.49, 0.0, time.monotonic()
        period = 0.05

        def step():
            self.speed += (0.49 - self.speed) * period / 0.45
            self.driven += self.speed * period
        self.create_timer(period, step)

        def tell():
            report('speed', mean=self.driven / max(time.monotonic() - self.since, period), sets=self.sets)
        self.create_timer(0.5, tell)

    def see(self, is_blind):
        """A wall at 1.5 m all around, on /scan, and in the map unless that listens where nobody publishes."""
        topic = 'sensors/scan' if is_blind else '/scan'
        for key, value in [('rolling_window', True), ('obstacle_layer.observation_sources', 'scan'),
                           ('obstacle_layer.scan.topic', topic)]:
            self.declare_parameter(key, value)
        self.create_subscription(LaserScan, topic, lambda _: None, 10)
        scans = self.create_publisher(LaserScan, '/scan', 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        grids = self.create_publisher(OccupancyGrid, 'costmap', latched)
        cells = [0] * (160 * 160)
        if not is_blind:
            for y in range(160):
                for x in range(160):
                    if abs(((x - 79.5) ** 2 + (y - 79.5) ** 2) ** 0.5 * 0.05 - 1.5) < 0.05:
                        cells[y * 160 + x] = 100

        def publish():
            now = self.get_clock().now().to_msg()
            scan = LaserScan(angle_min=-3.1, angle_max=3.1, angle_increment=0.0689, range_min=0.1, range_max=20.0,
                             ranges=[1.5] * 90)
            scan.header.stamp = now
            scans.publish(scan)
            grid = OccupancyGrid(data=cells)
            grid.header.stamp = now
            grid.info.resolution, grid.info.width, grid.info.height = 0.05, 160, 160
            grids.publish(grid)
        self.create_timer(0.2, publish)

    def on_set(self, parameters):
        self.sets += 1
        if self.faults.mppi:
            self.speed = 0.15
        values = {parameter.name: parameter.value for parameter in parameters}
        report('set', node=self.get_fully_qualified_name(), values=values, count=self.sets, at=time.monotonic())
        if self.faults.swallow:
            while True:
                time.sleep(1)
        if self.faults.die_on == self.sets:
            os.kill(os.getpid(), signal.SIGKILL)
        refused = [name for name in values if name in self.faults.refuse]
        if refused:
            reason = f'Unable to dynamically change {refused[0]} while the controller is currently running'
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--refuse', action='append', default=[])
    parser.add_argument('--without', action='append', default=[])
    parser.add_argument('--swallow', action='store_true')
    parser.add_argument('--die-on', type=int, default=0)
    parser.add_argument('--mppi', action='store_true')
    parser.add_argument('--unspun', action='store_true')
    parser.add_argument('--declare', type=json.loads, default={})
    parser.add_argument('--costmap', choices=['sees', 'blind'])
    parser.add_argument('--state', type=int)
    faults = parser.parse_args()
    rclpy.init()
    own = MPPI if faults.mppi else CONTROLLER
    controller = Server('controller_server', '/', {**own, **faults.declare}, faults)
    costmap = Server('local_costmap', '/local_costmap', COSTMAP, faults)
    if faults.mppi:
        controller.drive()
        costmap.speed = 0.0
    if faults.costmap:
        costmap.see(faults.costmap == 'blind')
    if faults.state is not None:
        controller.manage(faults.state)
    executor = MultiThreadedExecutor(4)
    executor.add_node(controller)
    if not faults.unspun:
        executor.add_node(costmap)
    report('ready', pid=os.getpid(), at=time.monotonic())

    def end_with_test():
        for line in sys.stdin:
            wish = json.loads(line)
            if 'spin' in wish:
                executor.add_node(costmap)
                executor.wake()
            else:
                controller.enter(wish['state'])
        os._exit(0)
    threading.Thread(target=end_with_test, daemon=True).start()
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    # As Nav2's nodes end: all of them leave the graph.
    for node in (controller, costmap):
        node.destroy_node()
    rclpy.try_shutdown()


main()
