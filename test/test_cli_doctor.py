"""What `avemo doctor` says of the computer itself, and where ROS is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from avemo_ros.cli.main import main
from avemo_ros.nodes import host
from avemo_ros.nodes.host import Level

VARIABLES = (
    "ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS",
    "ROS_DISTRO", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE",
    "CYCLONEDDS_URI", "ZENOH_CONFIG_OVERRIDE", "ZENOH_SHM_ALLOC_SIZE",
    "ZENOH_SESSION_CONFIG_URI", "ZENOH_ROUTER_CONFIG_URI",
)  # fmt: skip


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> Any:
        return None if name == "rclpy" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", found)


@pytest.mark.parametrize(
    ("given", "level", "words"),
    [
        ({}, Level.OK, ("ROS_DOMAIN_ID=0",)),
        ({"ROS_DOMAIN_ID": "7"}, Level.OK, ("ROS_DOMAIN_ID=7",)),
        ({"ROS_DOMAIN_ID": "233"}, Level.FIX, ("'233'", "0 to 232")),
        ({"ROS_DOMAIN_ID": "robot"}, Level.FIX, ("'robot'",)),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, Level.OK, ("SUBNET",)),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, Level.NOTE, ("only this", "SUBNET")),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "off"}, Level.NOTE, ("only this computer",)),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LAN"}, Level.FIX, ("'LAN'", "SUBNET, LOCALHOST")),
        (
            {"ROS_LOCALHOST_ONLY": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"},
            Level.NOTE,
            ("unset ROS_LOCALHOST_ONLY",),
        ),
    ],
)
def test_how_far_is_looked_for_others(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], level: Level, words: tuple[str, ...]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = host.discovery()
    assert found.level is level
    assert all(word in f"{found.text}; {found.advice}" for word in words)


def test_settings_of_the_middleware(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = next(host.middleware("rmw_fastrtps_cpp"))
    assert (first.level, "config/fastdds.xml" in first.advice) == (Level.NOTE, True)
    file = tmp_path / "mine.xml"
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(file))
    first = next(host.middleware("rmw_fastrtps_cpp"))
    assert (first.level, f"'{file}'" in first.text) == (Level.FIX, True)
    file.write_text("<dds/>")
    assert next(host.middleware("rmw_fastrtps_cpp")).level is Level.OK
    # Of another middleware it says nothing.
    assert next(host.middleware("rmw_connextdds")).text == "rmw_connextdds"


def test_settings_of_cyclone_dds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "rmem_max"
    limit.write_text("4194304\n")

    def found() -> list[host.Observation]:
        return list(host.middleware("rmw_cyclonedds_cpp", limit))

    (only,) = found()
    assert (only.level, "file:///.../config/cyclonedds.xml" in only.advice) == (
        Level.NOTE,
        True,
    )
    file = tmp_path / "mine.xml"
    monkeypatch.setenv("CYCLONEDDS_URI", f"file://{file}")
    (only,) = found()
    assert (only.level, "config/cyclonedds.xml" in only.advice) == (Level.FIX, True)
    file.write_text("<CycloneDDS/>")
    for given in (f"file://{file}", str(file), f"{file},file://{file}", "<CycloneDDS/>"):
        monkeypatch.setenv("CYCLONEDDS_URI", given)
        assert [one.level for one in found()] == [Level.OK], given
    # The kernel's own default, with which the file's buffers cannot be had.
    limit.write_text("212992\n")
    _, narrow = found()
    assert (narrow.level, "net.core.rmem_max=4194304" in narrow.advice) == (Level.NOTE, True)
    limit.unlink()
    assert [one.level for one in found()] == [Level.OK]


def test_advice_for_what_does_not_arrive_is_for_the_middleware_in_use() -> None:
    assert "FASTDDS_BUILTIN_TRANSPORTS" in host.out_of_reach("rmw_fastrtps_cpp")
    for name in ("rmw_cyclonedds_cpp", "rmw_zenoh_cpp"):
        assert "docs/nodes.md#middleware" in host.out_of_reach(name)
        assert "FASTDDS" not in host.out_of_reach(name)


def test_settings_of_zenoh(monkeypatch: pytest.MonkeyPatch) -> None:
    (only,) = host.middleware("rmw_zenoh_cpp")
    assert (only.level, "docs/nodes.md#middleware" in only.advice) == (Level.NOTE, True)
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", "transport/shared_memory/enabled=true")
    (only,) = host.middleware("rmw_zenoh_cpp")
    assert (only.level, "shared_memory/enabled" in only.text) == (Level.OK, True)


def test_weights_that_are_damaged_or_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert host.weights("").level is Level.OK
    missing = host.weights("/none.safetensors")
    assert (missing.level, "/none.safetensors" in missing.text) == (Level.FIX, True)
    (tmp_path / "a.safetensors").write_bytes(b"spoiled")
    entry = {"file": "a.safetensors", "sha256": "0" * 64}
    index = {"default": "a", "models": {"a": entry}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    monkeypatch.setenv("AVEMO_MODELS", str(tmp_path))
    damaged = host.weights("")
    assert (damaged.level, "is damaged" in damaged.text) == (Level.FIX, True)
    assert "get the file again" in damaged.advice


def test_a_distro_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert host.versions().level is Level.OK
    monkeypatch.setenv("ROS_DISTRO", "humble")
    found = host.versions()
    assert (found.level, "Jazzy" in found.advice) == (Level.FIX, True)


def test_a_newer_distro_than_those_that_were_tried_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROS_DISTRO", "lyrical")
    found = host.versions()
    assert (found.level, "not tried" in found.advice) == (Level.NOTE, True)


def test_with_a_distro_that_is_too_old_no_node_starts() -> None:
    pytest.importorskip("rclpy", reason="no rclpy")
    ended = subprocess.run(
        [sys.executable, "-m", "avemo_ros.nodes.emotion"],
        env={**os.environ, "ROS_DISTRO": "humble"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    said = "avemo_ros: ROS 2 Humble is too old: this package needs Jazzy or newer\n"
    assert (ended.returncode, ended.stderr) == (1, said)


def test_a_camera_that_is_not_there_is_named() -> None:
    found = next(host.devices({"camera": "99", "microphone": ""}))
    assert (found.level, "no camera /dev/video99" in found.text) == (Level.FIX, True)


@pytest.mark.usefixtures("no_ros")
def test_without_ros_it_says_what_it_can(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "doctor.json"
    assert main(["doctor", "--json", str(out)]) == 2
    page = capsys.readouterr().out
    assert "ROS 2 is missing here" in page
    assert "tools/env.sh" in page
    assert "checksums match" in page
    content = json.loads(out.read_text())
    assert content["status"] == 2
    parts = {one["part"] for one in content["findings"]}
    assert {"ros", "versions", "discovery", "weights", "devices", "memory", "disk"} <= parts


@pytest.mark.usefixtures("no_ros")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("imge:=/x",), ("no argument 'imge'", "did you mean 'image'")),
        (("robot:=usbcam",), ("'robot' is 'usbcam'", "did you mean 'usb_cam'")),
        (("image",), ("'image'", "NAME:=VALUE")),
        (("--seconds", "0"), ("'seconds' is 0.0", "1 to 600")),
        (("image_rotate:=upside",), ("'image_rotate'", "a whole number")),
    ],
)
def test_an_argument_that_is_not_allowed_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    assert main(["doctor", *words]) == 2
    err = capsys.readouterr().err
    assert all(word in err for word in said), err


@pytest.mark.usefixtures("no_ros")
def test_names_from_outside_do_not_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "\x1b[2J")
    main(["doctor"])
    assert "\x1b" not in capsys.readouterr().out
