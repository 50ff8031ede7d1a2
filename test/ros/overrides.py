"""Prints the parameters that rclpy takes from the command line for a node `planner_tuner`, as JSON."""

import json

import rclpy
from rclpy.node import Node

rclpy.init()
node = Node('planner_tuner', enable_rosout=False)
# What a declared parameter would take; declaring them all would add those that rclpy itself declares.
values = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
print(json.dumps({'node': node.get_fully_qualified_name(), 'values': values}))
