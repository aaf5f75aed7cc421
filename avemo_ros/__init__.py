"""Audio-visual emotion sensing for social robots.

Data flows one way, and the folders follow it: `source` (media) -> `vision` and `audio`
(features) -> `model` (network) -> `state` (who feels what, or why nothing can be said) ->
`sink` (where it goes).  `pipeline` joins them; `nodes` are the ROS 2 shells around them and
the only part that imports rclpy.
"""

from pkgutil import extend_path

# In a checkout the messages lie in the workspace's install tree: `avemo_ros.msg` is found there
# even where this folder comes first on the path (`python -m ...` in the repository).
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
