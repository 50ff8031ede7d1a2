"""The launch files of the project, visited by a stand-in for `launch` and `launch_ros`, which are not on PyPI.

The stand-in has what the files use, with launch's rules for names: a group's settings end with the group, an included
file's stay, and what waits for an event is visited when all else has been. Prints what would be started, as JSON:

    launch_files.py <folder of the project> <folder of packages> <launch file> [name:=value ...]
"""

import importlib.util
import json
import os
import sys
import types

ROOT, PACKAGES, FILE, *GIVEN = sys.argv[1:]


class Context:
    def __init__(self, given):
        self.values, self.stack, self.remaps, self.later, self.started = dict(given), [], [], [], []

    def push(self):
        self.stack.append((dict(self.values), list(self.remaps)))

    def pop(self):
        self.values, self.remaps = self.stack.pop()


def text(value, context):
    if isinstance(value, (list, tuple)):
        return ''.join(text(part, context) for part in value)
    return value.perform(context) if hasattr(value, 'perform') else str(value)


def visit(entities, context):
    for entity in entities or []:
        visit(entity.visit(context), context)


class Description:
    def __init__(self, entities=()):
        self.entities = list(entities)

    def visit(self, context):
        return self.entities


class LaunchConfiguration:
    def __init__(self, name, default=None):
        self.name = name

    def perform(self, context):
        if self.name not in context.values:
            raise RuntimeError(f"launch configuration '{self.name}' does not exist")
        return context.values[self.name]


class DeclareLaunchArgument:
    def __init__(self, name, default_value=None, description=''):
        self.name, self.default = name, default_value

    def visit(self, context):
        if self.name not in context.values:
            if self.default is None:
                raise RuntimeError(f'the launch argument {self.name} is missing')
            context.values[self.name] = text(self.default, context)


class Source:
    def __init__(self, path):
        self.path = path


class IncludeLaunchDescription:
    def __init__(self, source, launch_arguments=()):
        self.source, self.arguments = source, list(launch_arguments)

    def visit(self, context):
        for name, value in self.arguments:
            context.values[name] = text(value, context)
        return [load(text(self.source.path, context))]


class GroupAction:
    def __init__(self, actions):
        self.actions = actions

    def visit(self, context):
        context.push()
        visit(self.actions, context)
        context.pop()


class OpaqueFunction:
    def __init__(self, function):
        self.function = function

    def visit(self, context):
        return self.function(context)


class Later:
    """What an event sets off: a timer, or the end of a process."""

    def __init__(self, what, actions):
        self.what, self.actions = what, actions

    def visit(self, context):
        context.started.append(self.what)
        context.later.append(self.actions)


def TimerAction(period, actions):
    return Later({'timer': period}, actions)


class ExecuteProcess:
    def __init__(self, cmd, on_exit=(), additional_env=None, output=None):
        self.cmd, self.on_exit = cmd, on_exit

    def visit(self, context):
        context.started.append({'process': [text(part, context) for part in self.cmd]})
        context.later.append(self.on_exit)


class Shutdown:
    def __init__(self, reason):
        self.reason = reason

    def visit(self, context):
        context.started.append({'shutdown': self.reason})


class SetRemap:
    def __init__(self, src, dst):
        self.rule = [src, dst]

    def visit(self, context):
        context.remaps.append(self.rule)


class Node:
    def __init__(self, package, executable, parameters=(), remappings=(), **more):
        self.known = dict(package=package, executable=executable, **more)
        self.parameters, self.remappings = parameters, remappings

    def visit(self, context):
        parameters = [part if isinstance(part, str) else {name: getattr(value, 'value', value)
                                                          for name, value in part.items()}
                      for part in self.parameters]
        remappings = [*context.remaps, *(list(rule) for rule in self.remappings)]
        context.started.append({**self.known, 'parameters': parameters, 'remappings': remappings})


class ParameterValue:
    def __init__(self, value, value_type):
        self.value = value_type(value)


class FindPackageShare:
    def __init__(self, package):
        self.package = package

    def perform(self, context):
        package = text(self.package, context)
        share = ROOT if package == 'vlm_planner_tuner' else os.path.join(PACKAGES, package)
        if not os.path.isdir(share):
            raise RuntimeError(f"package '{package}' not found")
        return share


def module(name, **names):
    made = types.ModuleType(name)
    made.__dict__.update(names)
    sys.modules[name] = made


module('launch', LaunchDescription=Description)
module('launch.actions', DeclareLaunchArgument=DeclareLaunchArgument, IncludeLaunchDescription=IncludeLaunchDescription,
       GroupAction=GroupAction, OpaqueFunction=OpaqueFunction, TimerAction=TimerAction, ExecuteProcess=ExecuteProcess,
       Shutdown=Shutdown)
module('launch.launch_description_sources', PythonLaunchDescriptionSource=Source)
module('launch.substitutions', LaunchConfiguration=LaunchConfiguration)
module('launch_ros')
module('launch_ros.actions', Node=Node, SetRemap=SetRemap)
module('launch_ros.parameter_descriptions', ParameterValue=ParameterValue)
module('launch_ros.substitutions', FindPackageShare=FindPackageShare)


def load(path):
    spec = importlib.util.spec_from_file_location('launch_file', path)
    file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(file)
    return file.generate_launch_description()


sys.dont_write_bytecode = True
context = Context(argument.split(':=', 1) for argument in GIVEN)
try:
    visit([load(os.path.join(ROOT, 'launch', FILE))], context)
    while context.later:
        visit(context.later.pop(0), context)
except RuntimeError as error:
    print(json.dumps({'refused': str(error), 'started': context.started}))
else:
    print(json.dumps({'started': context.started}))
