"""`. tools/env.sh` enters the environment, in bash and zsh."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SETTINGS = ("FASTRTPS_DEFAULT_PROFILES_FILE", "CYCLONEDDS_URI")
VARIABLES = ("PATH", "AMENT_PREFIX_PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, repository: Path) -> str:
    if not (repository / ".ws" / "ready").exists():
        pytest.skip("this checkout has no workspace: run `make setup`")
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


def entered(shell: str, repository: Path, before: str = "", **extra: str) -> dict[str, str]:
    """The variables after entering, from another folder."""
    names = [*VARIABLES, *SETTINGS, "ROS_AUTOMATIC_DISCOVERY_RANGE"]
    script = f'{before}. "{repository}/tools/env.sh" && env'
    environment = {
        name: value for name, value in os.environ.items() if name not in names[1:]
    } | extra  # fmt: skip
    result = subprocess.run(
        [shell, "-c", script],
        env=environment,
        cwd="/",
        check=True,
        capture_output=True,
        text=True,
    )
    pairs = (line.partition("=") for line in result.stdout.splitlines())
    return {name: value for name, _, value in pairs if name in names}


def test_our_folders_come_first_and_once_however_often_it_is_entered(
    shell: str, repository: Path
) -> None:
    install = f"{repository}/.ws/install"
    before = f'. "{repository}/tools/env.sh"; PATH="/usr/bin:$PATH"; '
    found = entered(shell, repository, before)
    assert found["PATH"].split(":")[:2] == [f"{install}/bin", f"{repository}/.venv/bin"]
    assert found["AMENT_PREFIX_PATH"].split(":")[0] == install
    assert found["PYTHONPATH"].startswith(install)
    assert found["LD_LIBRARY_PATH"].split(":")[0] == f"{install}/lib"
    for name in VARIABLES[1:]:
        folders = found[name].split(":")
        assert len(folders) == len(set(folders)), name
        assert "" not in folders, name


def test_dds_stays_on_this_host_unless_asked_otherwise(shell: str, repository: Path) -> None:
    name = "ROS_AUTOMATIC_DISCOVERY_RANGE"
    assert entered(shell, repository)[name] == "LOCALHOST"
    assert entered(shell, repository, **{name: "SUBNET"})[name] == "SUBNET"


def test_the_middleware_has_its_settings_unless_others_are_given(
    shell: str, repository: Path
) -> None:
    given = {name: f"/{name}.xml" for name in SETTINGS}
    found = entered(shell, repository)
    assert {name: found[name] for name in SETTINGS} == {
        "FASTRTPS_DEFAULT_PROFILES_FILE": f"{repository}/config/fastdds.xml",
        "CYCLONEDDS_URI": f"file://{repository}/config/cyclonedds.xml",
    }
    found = entered(shell, repository, **given)
    assert {name: found[name] for name in SETTINGS} == given
