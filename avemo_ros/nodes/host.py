"""What this computer has, and how its middleware is set.  Nothing here needs ROS."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from avemo_ros import __version__
from avemo_ros.errors import WeightsError
from avemo_ros.model.released import check_listed, find_weights, onnx_files

_SHARED: Final = Path("/dev/shm")  # noqa: S108  where the middleware has its shared memory
_SMALL_BYTES: Final = 16e6
"""Shared memory below this holds hardly an image."""
_CONTAINERS: Final = ("/.dockerenv", "/run/.containerenv")
_MEMORY_MB: Final = 500
"""Free memory below this is too little: the stack takes about 300 MB (docs/performance.md)."""
_DISK_MB: Final = 200
"""Free disk below this is too little for ROS's own log."""
_BUSY: Final = 1.5
"""Processes that want to run, for each core, from which a node has to wait."""
_MOST_DOMAINS: Final = 232
_STAYS: Final = ("LOCALHOST", "OFF")
"""Values of ROS_AUTOMATIC_DISCOVERY_RANGE with which other computers are not heard."""
_RANGES: Final = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
_RECEIVE_LIMIT: Final = Path("/proc/sys/net/core/rmem_max")
_RECEIVE_BYTES: Final = 4_194_304
"""Of a socket, with which raw images of 1920x1080 arrive over UDP (docs/nodes.md)."""
_FURTHER: Final = {
    "rmw_fastrtps": ("FASTDDS_BUILTIN_TRANSPORTS", "ROS_DISCOVERY_SERVER"),
    "rmw_zenoh": (
        "ZENOH_CONFIG_OVERRIDE",
        "ZENOH_SHM_ALLOC_SIZE",
        "ZENOH_SESSION_CONFIG_URI",
        "ZENOH_ROUTER_CONFIG_URI",
    ),
}
"""Environment variables of each middleware, besides those that name its settings file."""
_PACKAGES: Final = (
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "mediapipe",
    "onnxruntime",
    "torch",
)
_TOO_OLD: Final = (
    "ardent", "bouncy", "crystal", "dashing", "eloquent", "foxy", "galactic", "humble", "iron",
)  # fmt: skip
_TRIED: Final = ("jazzy",)
"""Releases of ROS that the nodes have run with."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """Settings of a middleware with which raw images arrive."""

    name: str
    """Of the file in config/."""
    variables: tuple[str, ...]
    """Environment variables that may name it; the last one is the one to set."""
    scheme: str = ""
    """What goes before the file's path in the variable."""
    lacking: str = ""
    """What is so without settings."""

    def named(self, path: Path | str) -> dict[str, str]:
        """The environment that names a file."""
        return {self.variables[-1]: f"{self.scheme}{Path(path).absolute()}"}


SETTINGS_FILES: Final = {
    "rmw_fastrtps": SettingsFile(
        "fastdds.xml",
        # The newer and the older name; Fast DDS takes both.
        ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        lacking="raw images do not fit into its shared memory",
    ),
    "rmw_cyclonedds": SettingsFile(
        "cyclonedds.xml",
        ("CYCLONEDDS_URI",),
        "file://",
        "raw images larger than 640x480 get lost",
    ),
}
"""By how ROS's name of the middleware begins."""


class Level(Enum):
    """How a finding is."""

    OK = "ok"
    NOTE = "note"
    """Nothing is wrong, but it may surprise."""
    FIX = "fix"


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was looked at."""

    part: str
    """What it is about, e.g. "images"."""
    level: Level
    text: str
    advice: str = ""
    """What to do; empty if there is nothing to do."""


def split(message: str) -> tuple[str, str]:
    """What is so, and what to do: messages of the nodes say both, with a semicolon between."""
    text, _, advice = message.partition("; ")
    return text, advice


# --- the middleware


def discovery() -> Observation:
    """How far this shell's ROS looks for others."""
    given = os.environ.get
    domain, reach = given("ROS_DOMAIN_ID", ""), given("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    only = given("ROS_LOCALHOST_ONLY", "")
    said = ", ".join(
        f"{name}={value}"
        for name, value in (
            ("ROS_DOMAIN_ID", domain or "0"),
            ("ROS_AUTOMATIC_DISCOVERY_RANGE", reach),
            ("ROS_LOCALHOST_ONLY", only),
            ("ROS_STATIC_PEERS", given("ROS_STATIC_PEERS", "")),
        )
        if value
    )
    if domain and not (domain.isdigit() and int(domain) <= _MOST_DOMAINS):
        return Observation(
            "discovery", Level.FIX, f"ROS_DOMAIN_ID is '{domain}'", "set 0 to 232, or unset it"
        )
    if reach and reach.upper() not in _RANGES:
        allowed = ", ".join(_RANGES)
        text = f"ROS_AUTOMATIC_DISCOVERY_RANGE is '{reach}'"
        return Observation("discovery", Level.FIX, text, f"set one of {allowed}")
    if only == "1":
        return Observation(
            "discovery",
            Level.NOTE,
            f"only this computer is heard, whatever else is set ({said})",
            "for a robot with several computers: unset ROS_LOCALHOST_ONLY",
        )
    if reach.upper() in _STAYS:
        return Observation(
            "discovery",
            Level.NOTE,
            f"only this computer is heard ({said}); tools/env.sh sets this unless it is set",
            "for a robot with several computers: export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET "
            "in every shell",
        )
    return Observation("discovery", Level.OK, said)


def out_of_reach(name: str) -> str:
    """Why messages of somebody who is known do not arrive, by what this computer shows, and
    what to do.

    Args:
        name: of the middleware, as ROS has it.
    """
    if not name.startswith("rmw_fastrtps"):
        return (
            "its messages get lost; give both the same settings of the middleware "
            "(docs/nodes.md#middleware), and containers --net=host"
        )
    ways = []
    if _of_others(_files()):
        ways.append("run both as the same user")
    elif any(Path(file).exists() for file in _CONTAINERS):
        ways.append("start this node's container with --ipc=host and --net=host")
    if 0 < _size() < _SMALL_BYTES:
        ways.append(f"make {_SHARED} larger (it has {_size() / 1e6:.0f} MB)")
    if not ways:
        ways.append("start both in one container (or with --ipc=host) and as the same user")
    ways.append("set FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for both")
    return "its shared memory is out of reach; " + ", or ".join(ways)


def settings_file(name: str) -> SettingsFile | None:
    """What is known of a middleware's settings.

    Args:
        name: as ROS has it, e.g. 'rmw_fastrtps_cpp'.
    """
    return next((of for start, of in SETTINGS_FILES.items() if name.startswith(start)), None)


def settings_to_set(config: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Environment variables with which raw images arrive, for each middleware whose settings
    nobody has named.

    Args:
        config: folder with the settings files.
        given: the environment as it is.
    """
    wanted: dict[str, str] = {}
    for file in SETTINGS_FILES.values():
        if not any(given.get(name) for name in file.variables):
            wanted |= file.named(config / file.name)
    return wanted


def middleware(name: str, receive_limit: Path = _RECEIVE_LIMIT) -> Iterator[Observation]:
    """The middleware's settings.

    Args:
        name: as ROS has it, e.g. 'rmw_fastrtps_cpp'.
        receive_limit: where the kernel says how much a socket may hold for a program [bytes].
    """
    file = settings_file(name)
    further = next((of for start, of in _FURTHER.items() if name.startswith(start)), ())
    variables = file.variables if file else ()
    given = {one: os.environ[one] for one in (*variables, *further) if os.environ.get(one)}
    said = ", ".join([name, *(f"{one}={value}" for one, value in given.items())])
    named = [one for one in variables if one in given]
    missing = next((one for one in named if not _are_files(given[one])), None)
    if missing and file:
        yield Observation(
            "middleware",
            Level.FIX,
            f"{missing} is '{given[missing]}', which does not exist",
            f"correct the path, for the drivers too: config/{file.name} comes with avemo_ros",
        )
    elif file and not named:
        yield Observation(
            "middleware",
            Level.NOTE,
            f"{said}, with its default buffers: {file.lacking}",
            f"set {file.variables[-1]} to {file.scheme and file.scheme + '/.../'}config/"
            f"{file.name} of avemo_ros, for the camera's driver too",
        )
    elif name.startswith("rmw_zenoh") and not given:
        yield Observation(
            "middleware",
            Level.NOTE,
            f"{said}, with its default settings: raw images do not go through shared memory",
            "docs/nodes.md#middleware has settings, which were not tried",
        )
    else:
        yield Observation("middleware", Level.OK, said)
    limit = _number(receive_limit)
    if name.startswith("rmw_cyclonedds") and 0 < limit < _RECEIVE_BYTES:
        yield Observation(
            "middleware",
            Level.NOTE,
            f"the kernel holds at most {limit / 1e6:.1f} MB for a socket: raw images get lost",
            f"sudo sysctl -w net.core.rmem_max={_RECEIVE_BYTES}, then start the nodes again",
        )
    if not name.startswith("rmw_fastrtps"):
        return
    if _of_others(_files()):
        yield Observation(
            "middleware",
            Level.NOTE,
            f"{_SHARED} has shared memory of another user's nodes, which cannot be read",
            "run all nodes as the same user, or set FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for all",
        )
    if 0 < _size() < _SMALL_BYTES:
        yield Observation(
            "middleware",
            Level.FIX,
            f"{_SHARED} has only {_size() / 1e6:.0f} MB: raw images do not fit",
            "docker run --shm-size=512m or --ipc=host, or FASTDDS_BUILTIN_TRANSPORTS=UDPv4",
        )


def _are_files(value: str) -> bool:
    """Whether the files that a variable names exist; Cyclone DDS also takes several, and
    settings in place of a file."""
    paths = [] if "<" in value else value.split(",")
    return all(Path(path.removeprefix("file://")).is_file() for path in paths)


def _number(file: Path) -> int:
    """What the kernel says in a file; 0 if it says nothing."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _files() -> list[Path]:
    try:
        return [file for file in _SHARED.iterdir() if "fastrtps" in file.name]
    except OSError:
        return []


def _of_others(files: Iterable[Path]) -> bool:
    return any(not os.access(file, os.R_OK | os.W_OK) for file in files)


def _size() -> float:
    """Of the shared memory [bytes]; 0 if there is none."""
    try:
        room = os.statvfs(_SHARED)
    except OSError:
        return 0.0
    return float(room.f_frsize * room.f_blocks)


# --- the computer


def versions() -> Observation:
    """What is installed."""
    found = [f"avemo_ros {__version__}", f"Python {platform.python_version()}"]
    distro = os.environ.get("ROS_DISTRO", "")
    found += [f"ROS {distro}"] if distro else []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    text = ", ".join([*found, f"{platform.system()} {platform.machine()}"])
    if too_old():
        return Observation("versions", Level.FIX, text, too_old())
    if distro and distro not in _TRIED:
        advice = f"this package was not tried with ROS {distro} (docs/platforms.md)"
        return Observation("versions", Level.NOTE, text, advice)
    return Observation("versions", Level.OK, text)


def too_old() -> str:
    """What is needed where the sourced ROS is too old; "" where it is not."""
    distro = os.environ.get("ROS_DISTRO", "")
    if distro not in _TOO_OLD:
        return ""
    return f"ROS 2 {distro.capitalize()} is too old: this package needs Jazzy or newer"


def weights(name: str) -> Observation:
    """Whether the network's files are there and whole.

    Args:
        name: as the parameter `model.weights`.
    """
    try:
        path = find_weights(name)
        parts = [part for part in onnx_files(path).values() if part.is_file()]
        for part in parts:
            check_listed(path, part)
    except (OSError, WeightsError) as error:
        text, advice = split(str(error))
        return Observation("weights", Level.FIX, text, advice or "see `avemo models`")
    onnx = f" with {len(parts)} ONNX files" if parts else ", without ONNX files"
    return Observation("weights", Level.OK, f"{path.name}{onnx}, checksums match")


def computer(folder: Path) -> Iterator[Observation]:
    """Memory, processor and disk.

    Args:
        folder: whose disk is looked at.
    """
    free, total = _memory()
    if total:
        yield Observation(
            "memory",
            Level.OK if free >= _MEMORY_MB else Level.FIX,
            f"{free:.0f} of {total:.0f} MB are free",
            "" if free >= _MEMORY_MB else "end other programs: the nodes take about 300 MB",
        )
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    busy = load > _BUSY * cores
    yield Observation(
        "processor",
        Level.NOTE if busy else Level.OK,
        f"{cores} cores, load {load:.1f} in the last minute",
        "it is busy: images may be dropped (docs/performance.md)" if busy else "",
    )
    disk = shutil.disk_usage(folder).free / 1e6
    yield Observation(
        "disk",
        Level.OK if disk >= _DISK_MB else Level.FIX,
        f"{disk / 1e3:.1f} GB are free on the disk of {folder}",
        "" if disk >= _DISK_MB else "make room: ROS writes its log there",
    )


def _memory() -> tuple[float, float]:
    """Free and all [MB]; 0, 0 where it is not known."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0, 0.0
    known = {line.split(":")[0]: 1.024e-3 * float(line.split()[1]) for line in lines}
    return known.get("MemAvailable", 0.0), known.get("MemTotal", 0.0)


def devices(given: Mapping[str, str]) -> Iterator[Observation]:
    """Cameras and microphones of this computer.

    Args:
        given: launch arguments, of which `camera` and `microphone` are looked at.
    """
    cameras = {str(path): _name_of(path) for path in sorted(Path("/dev").glob("video*"))}
    shown = ", ".join(f"{path} ({name})" if name else path for path, name in cameras.items())
    wanted = given.get("camera", "")
    path = f"/dev/video{wanted}" if wanted.isdigit() else wanted
    if path.startswith("/dev/") and path not in cameras and not Path(path).exists():
        yield Observation(
            "devices",
            Level.FIX,
            f"there is no camera {path}; found: {shown or 'none'}",
            "plug it in; docker run --device for a container",
        )
    elif path.startswith("/dev/") and not os.access(path, os.R_OK | os.W_OK):
        advice = "sudo usermod -aG video $USER, then log in again"
        yield Observation("devices", Level.FIX, f"this user may not open {path}", advice)
    else:
        yield Observation("devices", Level.OK, f"cameras: {shown or 'none'}")
    microphones = _microphones()
    lacking = bool(given.get("microphone")) and not microphones
    yield Observation(
        "devices",
        Level.NOTE if lacking else Level.OK,
        f"microphones: {', '.join(microphones) or 'none'}",
        "plug it in; PulseAudio and PipeWire are not checked" if lacking else "",
    )


def _name_of(device: Path) -> str:
    try:
        text = Path("/sys/class/video4linux") / device.name / "name"
        return text.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _microphones() -> list[str]:
    """Of ALSA, by name."""
    try:
        lines = Path("/proc/asound/pcm").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.split(":")[1].strip() for line in lines if "capture" in line]
