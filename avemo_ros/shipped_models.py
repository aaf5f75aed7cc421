"""Where the models lie that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from avemo_ros.errors import WeightsError

INDEX: Final = "index.json"
"""In the folder of released models; `model.released` says what is in it."""


def shipped_models() -> Path:
    """Folder of the models that came with this package.

    The first of these with an index.json: beside the package (a checkout), inside it,
    `share/avemo_ros/models` of the prefix it is installed under (ROS 2 overlay or pip).
    Neither ROS nor ament is asked.

    Raises:
        WeightsError: there is none.
    """
    package = Path(__file__).resolve().parent
    places = [package.parent / "models", package / "models"]
    places += [parent / "share" / "avemo_ros" / "models" for parent in package.parents]
    for place in places:
        if (place / INDEX).is_file():
            return place
    raise WeightsError(
        f"no folder with weights found (looked next to and in {package} and in "
        "share/avemo_ros of its prefix); reinstall the package or set AVEMO_MODELS to the "
        "folder with index.json"
    )
