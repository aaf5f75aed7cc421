"""The ROS 2 nodes around the engine; the only part that imports rclpy."""

from avemo_ros import threads as _threads  # noqa: F401  (before NumPy is imported)
from avemo_ros.interrupt import until_module_started as _until_module_started

_until_module_started(__name__)
