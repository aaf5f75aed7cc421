"""How settings are declared and read: what is taken, what is refused, and with which words."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, model_validator

from avemo_ros.errors import ConfigError
from avemo_ros.settings import (
    ListOf,
    Named,
    OneOf,
    SettingGroups,
    Settings,
    SettingsError,
    Text,
    parse_yaml,
    read_options,
    read_yaml,
    refuse,
)


class Eye(Settings, group="eye"):
    rate_hz: float = Field(15.0, ge=1.0, le=240.0, description="Images a second [Hz].")
    faces: int = Field(4, ge=1, le=16, description="Faces followed.")
    lens: Literal["wide", "narrow"] = Field("wide", description="What is before it.")
    colour: Annotated[str, OneOf(("grey", "full"))] = "grey"
    flip: bool = False
    note: str = ""
    start: bool = Field(True, frozen=True)

    @model_validator(mode="after")
    def _go_together(self) -> Eye:
        if self.flip and self.lens == "narrow":
            raise ConfigError("flip", self.flip, "false with eye.lens narrow")
        return self


class Part(Settings):
    name: Text
    share: float = Field(1.0, ge=0)


class Body(Settings):
    eye: Eye = Eye()
    parts: ListOf[Part] = ()
    widths: Annotated[
        ListOf[Annotated[int, Field(ge=1, le=9)]],
        Field(min_length=2, max_length=3),
        Named({"small": (1, 2)}),
    ] = (3, 4)
    factors: Mapping[str, Annotated[float, Field(ge=0, le=10)]] = {}
    free: Mapping[str, Any] = {}

    @model_validator(mode="after")
    def _have_names_once(self) -> Body:
        names = [part.name for part in self.parts]
        for number, name in enumerate(names):
            if name in names[:number]:
                refuse(("parts", number, "name"), name, "each name once")
        return self


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"eye": {"rate_hz": 0.5}},
            "'eye.rate_hz' is 0.5; allowed: a number from 1.0 to 240.0",
        ),
        ({"eye": {"rate_hz": "3"}}, "'eye.rate_hz' is '3'; allowed: a number"),
        ({"eye": {"rate_hz": True}}, "'eye.rate_hz' is True; allowed: a number"),
        ({"eye": {"rate_hz": float("nan")}}, "'eye.rate_hz' is nan; allowed: a number"),
        ({"eye": {"rate_hz": None}}, "'eye.rate_hz' is None; allowed: a number"),
        ({"eye": {"faces": 2.0}}, "'eye.faces' is 2.0; allowed: a whole number from 1 to 16"),
        ({"eye": {"flip": 1}}, "'eye.flip' is 1; allowed: true | false"),
        ({"eye": {"note": 3}}, "'eye.note' is 3; allowed: text"),
        (
            {"eye": {"lens": "wyde"}},
            "'eye.lens' is 'wyde'; allowed: wide | narrow (did you mean 'wide'?)",
        ),
        ({"eye": {"colour": "gray"}}, "allowed: grey | full (did you mean 'grey'?)"),
        ({"eye": {"colour": ["grey"]}}, "'eye.colour' is ['grey']; allowed: grey | full"),
        ({"eye": {"face": 1}}, "'eye.face' is 1; allowed: one of the names rate_hz, faces"),
        ({"eye": {"face": 1}}, "(did you mean 'faces'?)"),
        ({"eye": 3}, "'eye' is 3; allowed: a mapping of names to values"),
        ({"eye": {"flip": True, "lens": "narrow"}}, "'eye.flip' is True; allowed: false with"),
        ({"eyes": {}}, "(did you mean 'eye'?)"),
        (
            {"parts": [{"name": "a"}, {"share": 1}]},
            "'parts.1.name' is None; allowed: text that",
        ),
        ({"parts": [{"name": " "}]}, "'parts.0.name' is ' '; allowed: text that is not empty"),
        (
            {"parts": [{"name": "a", "shar": 1}]},
            "'parts.0.shar' is 1; allowed: one of the names",
        ),
        (
            {"parts": [{"name": "a", "share": -1}]},
            "'parts.0.share' is -1; allowed: a number from 0",
        ),
        (
            {"parts": [{"name": "a"}, {"name": "a"}]},
            "'parts.1.name' is 'a'; allowed: each name",
        ),
        (
            {"widths": [1]},
            "'widths' is [1]; allowed: small | a list of 2 to 3 whole numbers from 1",
        ),
        ({"widths": "big"}, "'widths' is 'big'; allowed: small | a list"),
        ({"widths": [1, 99]}, "'widths.1' is 99; allowed: a whole number from 1 to 9"),
        ({"factors": {"a.b": "x"}}, "'factors.a.b' is 'x'; allowed: a number from 0 to 10"),
        ({"factors": [1]}, "'factors' is [1]; allowed: a mapping"),
        ({1: 2}, "'1' is 2; allowed: one of the names"),
        ({"eye": {True: 2}}, "'eye.True' is 2; allowed: one of the names"),
        ({"eye": {"self": 2}}, "'eye.self' is 2; allowed: one of the names"),
        ([1], "allowed: a mapping of names to values"),
    ],
)
def test_what_is_not_allowed_is_named_with_value_and_what_is(given: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Body.from_mapping(given)
    assert said in str(caught.value)


def test_what_yaml_gives_is_taken() -> None:
    body = Body.from_mapping(
        {
            "eye": {"rate_hz": 30, "note": None},
            "parts": [{"name": "two\n  words"}],
            "widths": "small",
            "factors": None,
            "free": {"a": [1, "b"]},
        }
    )
    assert body.eye.rate_hz == 30.0
    assert type(body.eye.rate_hz) is float
    assert body.eye.note == ""
    assert body.parts[0].name == "two words"
    assert body.widths == (1, 2)
    assert body.factors == {}
    assert Body.from_mapping(body.plain()) == body
    assert pickle.loads(pickle.dumps(body)) == body


def test_one_value_stands_for_a_list_of_one() -> None:
    class Runs(Settings):
        start: ListOf[str] = ()

    assert Runs(start="a").start == ("a",)  # type: ignore[arg-type]
    assert Runs(start="").start == ()  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"'start\.0' is 1; allowed: text"):
        Runs.from_mapping({"start": 1})


def test_what_is_declared_can_be_listed() -> None:
    listed = {setting.name: setting for setting in Eye.settings()}
    rate = listed["eye.rate_hz"]
    assert (rate.default, rate.low, rate.high) == (15.0, 1.0, 240.0)
    assert rate.description == "Images a second [Hz]."
    assert listed["eye.lens"].choices == ("wide", "narrow")
    assert listed["eye.colour"].choices == ("grey", "full")
    assert [name for name, setting in listed.items() if setting.read_only] == ["eye.start"]


def test_groups_are_read_by_dotted_names_and_say_what_became_of_old_ones() -> None:
    class Robot(SettingGroups):
        retired = {"eye.speed": "no value any more: eye.rate_hz says it"}  # noqa: RUF012

        eye: Eye = Eye()

    robot = Robot.from_flat({"eye.faces": 2})
    assert robot.eye.faces == 2
    assert Robot.from_flat(robot.flat()) == robot
    with pytest.raises(ConfigError, match=r"'eye\.speed' is 3; allowed: no value any more"):
        Robot.from_flat({"eye.speed": 3})
    with pytest.raises(ConfigError, match=r"no parameter of this name here, but 'eye\.faces'"):
        Robot.from_flat({"eye.face": 3})


def test_numbers_of_yaml_may_have_an_exponent_without_a_point() -> None:
    assert parse_yaml("[6e-4, 1E3, '6e-4', 1.5e+2]", "it") == [6e-4, 1e3, "6e-4", 150.0]


def test_a_key_that_is_given_twice_is_refused_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: {b: 1, b: 2}\n")
    assert read_yaml(path, "it") == {"a": {"b": 2}}
    with pytest.raises(SettingsError, match=r"not valid YAML: .*the key 'b' is given twice"):
        read_yaml(path, "it", once=True)


def test_options_are_texts_by_name() -> None:
    assert read_options(["a=1", "b=x=y", "a=2"]) == {"a": "2", "b": "x=y"}
    with pytest.raises(ConfigError, match="'--option' is 'a'; allowed: NAME=VALUE"):
        read_options(["a"])
