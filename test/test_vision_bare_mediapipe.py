"""MediaPipe as the robot imports it."""

from __future__ import annotations

import subprocess
import sys


def in_a_fresh_process(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_face_analysis_loads_nothing_that_it_does_not_need() -> None:
    unused = ["matplotlib", "scipy", "jax", "mediapipe.python.solutions", "mediapipe.tasks"]
    assert (
        in_a_fresh_process(
            "import sys, avemo_ros.vision.analyzer\n"
            f"print(*[name for name in {unused} if name in sys.modules])"
        )
        == []
    )


def test_solutions_and_tasks_are_there_for_who_asks() -> None:
    assert in_a_fresh_process(
        "import avemo_ros.vision.analyzer, mediapipe\n"
        "print(mediapipe.solutions.face_mesh.FaceMesh.__name__)\n"
        "print(mediapipe.tasks.vision.FaceLandmarker.__name__)\n"
        "print(mediapipe.Image.__name__, hasattr(mediapipe, 'nothing'))"
    ) == ["FaceMesh", "FaceLandmarker", "Image", "False"]


def test_who_has_imported_mediapipe_keeps_it() -> None:
    assert in_a_fresh_process(
        "import mediapipe, avemo_ros.vision.analyzer, sys\n"
        "print(mediapipe.__version__ != '', sys.modules['mediapipe'] is mediapipe)"
    ) == ["True", "True"]
