"""Audio-visual emotion sensing for social robots.

Data flows one way, and the folders follow it: `source` (media) -> `vision` and `audio`
(features) -> `model` (network) -> `state` (who feels what, or why there is no prediction) ->
`sink` (where it goes).  `engine` joins them, and `pipeline`, `replay`, `data` and `nodes` drive
it; `nodes` are the ROS 2 nodes and the only part that imports rclpy.  Networks that are only
trained and compared are in `zoo`.
"""

import os
from pkgutil import extend_path

# ONNX Runtime (seen in 1.32) reports to its maker, and keeps an id in the home folder, unless
# this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# In a checkout the messages lie in the workspace's install tree: `avemo_ros.msg` is found there
# even where this folder comes first on the path (`python -m ...` in the repository).
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
