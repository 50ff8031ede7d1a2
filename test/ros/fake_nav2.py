"""Nav2's controller_server and local costmap, as far as their parameters go.

Behaves as Jazzy's do: everything declared is accepted, whatever its value; undeclared names and other types are refused
in rclcpp's words by rclpy itself. Arguments add faults:
    --refuse NAME           refuses that parameter, as a locked one
    --swallow               never answers from the first set on
    --die-on N              killed in the N-th set, as by a use-after-free
    --without NAME          does not declare that parameter
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
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

CONTROLLER = {
    'FollowPath.max_vel_x': 0.26, 'FollowPath.max_vel_theta': 1.0, 'FollowPath.vx_samples': 20,
    'FollowPath.vtheta_samples': 20, 'FollowPath.PathDist.scale': 32.0, 'FollowPath.GoalDist.scale': 24.0,
    'controller_frequency': 20.0,
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

    def on_set(self, parameters):
        self.sets += 1
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
    faults = parser.parse_args()
    rclpy.init()
    controller = Server('controller_server', '/', CONTROLLER, faults)
    costmap = Server('local_costmap', '/local_costmap', COSTMAP, faults)
    executor = MultiThreadedExecutor(4)
    executor.add_node(controller)
    executor.add_node(costmap)
    report('ready', pid=os.getpid(), at=time.monotonic())

    def end_with_test():
        sys.stdin.read()
        os._exit(0)
    threading.Thread(target=end_with_test, daemon=True).start()
    executor.spin()


main()
