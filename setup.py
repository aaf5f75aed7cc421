"""`pip install .`: the part that needs no ROS, and the command `avemo`.

setup.cfg holds the metadata.  Here are only the files for `<prefix>/share/avemo_ros`, the place
where `colcon build` puts them too, so that the code looks for them in one way.
"""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
SHARE = Path("share/avemo_ros")


def shared() -> list[tuple[str, list[str]]]:
    """Folder below the prefix, and the files that go there."""
    found: dict[str, list[str]] = {}
    for folder in ("config", "models", "msg"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                place = SHARE / path.relative_to(ROOT).parent
                found.setdefault(place.as_posix(), []).append(str(path.relative_to(ROOT)))
    found[SHARE.as_posix()] = ["test/data/sample.mp4"]
    return sorted(found.items())


setup(data_files=shared())
