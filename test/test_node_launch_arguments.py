"""What arguments of the launch files may be; without `launch`, which is not on PyPI."""

from __future__ import annotations

from pathlib import Path

import pytest

arguments = pytest.importorskip("avemo_ros.nodes.launch_arguments")

DECLARED = ("image", "image_transport", "audio", "camera", "params_file", "file", "loop")
parameter_file = pytest.importorskip("avemo_ros.nodes.parameter_file")
SHIPPED = str(parameter_file.shipped())
GIVEN = {name: SHIPPED if value is None else value for name, value, _ in arguments.EMOTION}
USUAL = arguments.completed(GIVEN, SHIPPED)[0]
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
        ({"audio_type": "baer"}, ("'audio_type' is 'baer'", "did you mean 'bare'")),
        ({"cameras": "a,b", "camera": "0"}, ("'cameras' ('a,b') and 'camera' ('0')",)),
        ({"cameras": "a,b", "image": "/eye"}, ("'image' is '/eye'", "namespace of each")),
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


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", [""]),
        ("front, back", ["front", "back"]),
        ("/head/left,head/right", ["head/left", "head/right"]),
    ],
)
def test_several_cameras_are_names_with_commas(given: str, found: list[str]) -> None:
    assert arguments.camera_names({"cameras": given}) == found


@pytest.mark.parametrize("given", ["front,front", "front,,back", "0,1", "front back"])
def test_cameras_without_a_name_of_their_own_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="front,back, each of them once"):
        arguments.camera_names({"cameras": given})


def test_arguments_that_are_parameters_have_their_type() -> None:
    given = {
        **GIVEN, "image_rotate": "180", "image_rate_hz": "10", "audio_channel": "-1",
        "model_weights": "mine.safetensors", "model_device": "auto", "autostart": "False",
    }  # fmt: skip
    assert arguments.single_parameters(given) == {
        "image_rotate": 180, "vision.max_rate_hz": 10.0, "audio.channel": -1,
        "model.weights": "mine.safetensors", "model.device": "auto", "autostart": False,
    }  # fmt: skip
    with pytest.raises(ValueError, match="'audio_channel' is 'left'; allowed: a whole number"):
        arguments.single_parameters({**GIVEN, "audio_channel": "left"})


# --- profiles


PUBLISHED = {
    "usb_cam": {"image": "/camera1/image_raw"},
    "v4l2_camera": {"image": "/image_raw"},
    "realsense2_camera": {"image": "/camera/camera/color/image_raw"},
    "depthai": {"image": "/oak/rgb/image_raw"},
    "tiago": {"image": "/head_front_camera/rgb/image_raw"},
    "pepper": {"image": "/camera/front/image_raw", "audio": "/audio"},
    "reachy_mini": {"camera": "0", "microphone": "Reachy Mini Audio"},
    "audio_capture": {"audio": "/audio_stamped", "audio_info": "/audio_info"},
    "audio_common": {"audio": "/audio"},
    "respeaker": {"audio": "/audio_stamped", "audio_info": "/audio_info"},
}
"""What the drivers' own sources name, see the comment at the head of each profile."""
ALL = [
    (argument, name) for argument in arguments.PROFILES for name in arguments.profiles(argument)
]


def test_there_is_a_profile_of_each_driver() -> None:
    assert {name for _, name in ALL} == set(PUBLISHED)


@pytest.mark.parametrize(("argument", "name"), ALL)
def test_a_profile_has_topics_of_its_driver_and_known_parameters(
    argument: str, name: str
) -> None:
    given, files = arguments.completed({**GIVEN, argument: name}, SHIPPED)
    assert {key: given[key] for key in PUBLISHED[name]} == PUBLISHED[name]
    assert [Path(file).name for file in files] == ["emotion.yaml", f"{name}.yaml"]
    arguments.check_inputs(given)
    values = parameter_file.values_for_all(Path(files[-1]))
    parameters = {one for one in values if not one.startswith(arguments.GROUP)}
    assert parameters <= parameter_file.names()
    # Where the names come from is said.
    head = Path(files[-1]).read_text().partition("/**:")[0]
    assert any(word in head for word in ("github.com/", "gitlab.com/", "wiki."))


def test_what_counts_most_is_last(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**:\n  ros__parameters: {launch: {image: /mine}, audio_type: bare}\n")
    given, files = arguments.completed(
        {**GIVEN, "robot": "pepper", "mic": "audio_capture", "params_file": str(mine)}, SHIPPED
    )
    assert [Path(file).stem for file in files] == ["pepper", "audio_capture", "mine"]
    assert (given["image"], given["audio"]) == ("/mine", "/audio_stamped")
    given, _ = arguments.completed(
        {**GIVEN, "robot": "pepper", "image": "/given", "mic": str(mine)}, SHIPPED
    )
    assert (given["image"], given["audio"]) == ("/given", "/audio")


def test_a_played_file_takes_the_place_of_a_profiles_devices() -> None:
    given, _ = arguments.completed({**GIVEN, "robot": "reachy_mini", "file": "a.mp4"}, SHIPPED)
    assert (given["camera"], given["microphone"]) == ("", "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"robot": "usbcam"}, ("'robot' is 'usbcam'", "realsense2_camera", "mean 'usb_cam'")),
        ({"mic": "qqq"}, ("audio_capture | audio_common | respeaker", "includes this one")),
        ({"robot": "/none.yaml"}, ("'/none.yaml'", "a file that exists")),
    ],
)
def test_a_profile_that_there_is_not_is_refused_with_the_near_miss(
    given: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="argument") as caught:
        arguments.completed({**GIVEN, **given}, SHIPPED)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_topic_that_a_file_cannot_set_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**:\n  ros__parameters:\n    launch: {imge: /mine}\n")
    with pytest.raises(ValueError, match=r"'launch.imge'.*did you mean 'image'"):
        arguments.completed({**GIVEN, "params_file": str(mine)}, SHIPPED)


def test_what_an_including_file_misspells_is_a_warning_and_its_own_arguments_are_not() -> None:
    declared = [name for name, _, _ in arguments.EMOTION]
    own = ["world", "robot_name", "use_rviz", "language", "model", "speak", "ros_namespace"]
    (image, required) = arguments.near_misses(declared, [*declared, *own, "imgae", "requred"])
    assert image == "launch argument 'imgae' has no effect here (did you mean 'image'?)"
    assert "'requred'" in required
    assert "'required'" in required


def test_the_arguments_of_the_dialog_are_not_near_those_of_the_emotion_nodes() -> None:
    declared = [name for name, _, _ in arguments.EMOTION]
    words = "language strategies model base_url key_variable voice use_emotion speak"
    dialog = words.split()
    assert arguments.near_misses(declared, dialog) == []
