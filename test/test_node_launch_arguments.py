"""What arguments of the launch files may be; without `launch`, which is not on PyPI."""

from __future__ import annotations

from pathlib import Path

import pytest

arguments = pytest.importorskip("avemo_ros.nodes.launch_arguments")

DECLARED = ("image", "image_transport", "audio", "camera", "params_file", "file", "loop")
USUAL = {
    "image": "image_raw", "image_transport": "", "audio": "audio", "file": "", "loop": "false",
    "camera": "", "microphone": "", "composed": "true", "respawn": "false",
    "required": "false", "use_sim_time": "false", "log_level": "info", "sensing": "",
}  # fmt: skip
COMMAND = ("/opt/ros/bin/ros2", "launch", "avemo_ros", "emotion.launch.py")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("image_topic:=/x", "image"),
        ("camra:=0", "camera"),
        ("param_file:=a.yaml", "params_file"),
        ("Loop:=true", "loop"),
    ],
)
def test_a_misspelt_argument_is_refused_with_the_near_miss(word: str, near: str) -> None:
    words = (*COMMAND, "audio:=a", word)
    with pytest.raises(ValueError, match=f"no argument .*did you mean '{near}'") as caught:
        arguments.check_names("/ws/launch/emotion.launch.py", DECLARED, words)
    assert word in str(caught.value)


def test_an_argument_like_none_is_refused_too() -> None:
    with pytest.raises(ValueError, match=r"no argument 'qqqq'.*ros2 launch -s"):
        arguments.check_names("emotion.launch.py", DECLARED, (*COMMAND, "qqqq:=1"))


@pytest.mark.parametrize(
    "words",
    [
        (*COMMAND, "image:=/x", "params_file:=a:=b"),
        ("ros2", "launch", "emotion.launch.py", "loop:=true"),
        ("ros2", "launch", "robot", "bringup.launch.py", "image_topic:=/x"),
        ("python", "-m", "pytest"),
    ],
)
def test_arguments_that_there_are_or_that_are_for_others_are_fine(
    words: tuple[str, ...],
) -> None:
    arguments.check_names("/ws/launch/emotion.launch.py", DECLARED, words)


def test_usual_arguments_need_no_word() -> None:
    assert arguments.check_inputs(USUAL) == []
    usual = {"image": "/head/image_raw", "image_transport": "compressed", "log_level": "WARN"}
    assert arguments.check_inputs({**USUAL, **usual, "composed": "False"}) == []


@pytest.mark.parametrize("camera", ["0", "99", "/dev/video0", "rtsp://host/stream"])
def test_cameras_are_numbers_paths_or_urls(camera: str) -> None:
    assert arguments.check_inputs({**USUAL, "camera": camera}) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"composed": "maybe"}, ("'composed' is 'maybe'; allowed: true | false",)),
        ({"image_transport": "theora"}, ("'image_transport'", "nothing | raw | compressed")),
        ({"image_transport": "compresed"}, ("did you mean 'compressed'",)),
        ({"log_level": "wran"}, ("'log_level'", "did you mean 'warn'")),
        ({"camera": "front"}, ("'camera' is 'front'", "/dev/video0", "includes this one")),
        ({"file": "a.mp4", "loop": "10"}, ("'loop' is '10'", "includes this one")),
        ({"file": "a.mp4", "camera": "0"}, ("'file' ('a.mp4')", "'camera' ('0')", "image_raw")),
        ({"respawn": "true", "required": "true"}, ("'respawn' and 'required'",)),
        (
            {"image": "/eye/image_raw/compressed"},
            ("image:=/eye/image_raw image_transport:=compressed",),
        ),
    ],
)
def test_arguments_that_are_not_allowed_or_contradict_each_other_are_refused(
    given: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="argument") as caught:
        arguments.check_inputs({**USUAL, **given})
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loop": "10"}, ("'loop' is '10'", "without 'file'")),
        ({"file": "a.mp4", "microphone": "default"}, ("'file' ('a.mp4')", "'microphone'")),
    ],
)
def test_arguments_without_effect_are_warned_of(
    given: dict[str, str], words: tuple[str, ...]
) -> None:
    (text,) = arguments.check_inputs({**USUAL, **given})
    assert all(word in text for word in words)


def test_a_parameter_file_has_to_be_there_and_to_be_for_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    nodes = arguments.full_names(["emotion_stack", "camera"], "/robot/", "head")
    assert nodes == ["/robot/head/emotion_stack", "/robot/head/camera"]
    with pytest.raises(ValueError, match=r"'params_file' is 'none.yaml'.*includes this one"):
        arguments.parameter_path({"params_file": "none.yaml"}, nodes)
    (tmp_path / "mine.yaml").write_text("/**:\n  ros__parameters: {speak: true}\n")
    (tmp_path / "nav.yaml").write_text("controller:\n  ros__parameters: {hz: 20.0}\n")
    for path in ("mine.yaml", "~/mine.yaml", str(tmp_path / "mine.yaml")):
        found, useless = arguments.parameter_path({"params_file": path}, nodes)
        assert Path(found).is_file()
        assert not useless
    _, useless = arguments.parameter_path({"params_file": "nav.yaml"}, nodes)
    assert "is for '/controller'" in useless
    assert "launch_arguments" in useless


@pytest.mark.parametrize(
    ("given", "around", "pushed"),
    [
        ("", "", ""),
        ("head", "", "head"),
        ("/head", "/", "head"),
        ("head", "/robot", "head"),
        ("head", "/head", ""),
        ("robot/head", "/robot/head/", ""),
        ("head", "/forehead", "head"),
        ("", "/robot", ""),
    ],
)
def test_a_namespace_is_not_pushed_twice(given: str, around: str, pushed: str) -> None:
    assert arguments.namespace(given, around) == pushed
