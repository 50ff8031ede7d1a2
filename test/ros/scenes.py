"""What a robot without costmap images publishes: laser scan, plan, odometry."""

import array
import math
import os
import threading
import time

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry, Path
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, LaserScan


class Scenes:
    """Commands of the peer that publish scenes, and keep the images that come of them."""

    def do_images(self, folder):
        """Keeps the node's images in a folder, as raw pixels named by their stamps."""
        def heard(message):
            stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
            name = os.path.join(folder, str(stamp))
            with open(name + '.part', 'wb') as file:
                file.write(bytes(message.data))
            os.rename(name + '.part', name)
            self.report('image', stamp=stamp, width=message.width, height=message.height, encoding=message.encoding)
        self.create_subscription(Image, self.tuner + '/costmap_image', heard, 10)
        self.report('listening', topic='costmap_image')

    def do_plan(self, points, frame='odom', latched=False):
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        plan = Path()
        self.stamp_now(plan.header)
        plan.header.frame_id = frame
        for x, y in points:
            pose = PoseStamped(header=plan.header)
            pose.pose.position.x, pose.pose.position.y = numbers(x), numbers(y)
            plan.poses.append(pose)
        self.outlet(Path, 'plan', QoSProfile(depth=1, durability=durability)).publish(plan)
        self.report('plan', points=len(points))

    def do_scan(self, **options):
        """Scans from now on, until `stop_scans`, with the odometry of their very stamps."""
        self.do_stop_scans()
        self.scanning.clear()
        self.scanner = threading.Thread(target=self.scan, kwargs=options, daemon=True)
        self.scanner.start()

    def do_stop_scans(self):
        self.scanning.set()
        if self.scanner is not None:
            self.scanner.join()

    def scan(self, scan, start=(0.0, 0.0, 0.0), step=(0.0, 0.0, 0.0), rate=10.0, odometry=True, odometry_offset=0.0):
        """The robot moves by `step` (m, m, rad) from one scan to the next; odometry is `odometry_offset` s ahead."""
        scans = self.outlet(LaserScan, 'scan', qos_profile_sensor_data)
        poses = self.outlet(Odometry, 'odometry', 50)
        message = LaserScan(**{name: numbers(value) for name, value in scan.items() if name != 'ranges'})
        message.header.frame_id = 'laser'
        message.ranges = array.array('f', [numbers(value) for value in scan['ranges']])
        turn = 0
        while not self.scanning.is_set():
            x, y, yaw = (begin + turn * change for begin, change in zip(start, step))
            stamp = self.stamp_now(message.header)
            pose = Odometry(child_frame_id='base_link')
            pose.header.frame_id = 'odom'
            pose.header.stamp.sec, pose.header.stamp.nanosec = divmod(stamp + int(odometry_offset * 1e9), 1_000_000_000)
            pose.pose.pose.position.x, pose.pose.pose.position.y = x, y
            pose.pose.pose.orientation.z, pose.pose.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
            if odometry:
                poses.publish(pose)
            scans.publish(message)
            self.report('scanned', stamp=stamp, x=x, y=y, z=math.sin(yaw / 2), w=math.cos(yaw / 2))
            turn += 1
            time.sleep(1.0 / rate)

    def stamp_now(self, header):
        stamp = self.get_clock().now().nanoseconds
        header.stamp.sec, header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        return stamp


def numbers(value):
    """JSON has no number for these."""
    return float(value)
