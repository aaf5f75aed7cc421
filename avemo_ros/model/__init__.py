"""The networks."""

from avemo_ros.model import lean_torch

lean_torch.install()
