"""The command `avemo`."""

from avemo_ros import threads as _threads  # noqa: F401  (before NumPy is imported)
