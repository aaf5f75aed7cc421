"""The ROS 2 nodes around the engine; the only part that imports rclpy."""

from avemo_ros.interrupt import limit_threads as _limit_threads
from avemo_ros.interrupt import until_module_started as _until_module_started

_limit_threads()
_until_module_started(__name__)
