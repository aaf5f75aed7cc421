"""ROS messages of steady states, their changes and the past from the core's dataclasses."""

from __future__ import annotations

from dataclasses import replace

from avemo_ros.clock import to_s
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.msg import EmotionEvent, EmotionState
from avemo_ros.nodes.convert import header, state_message
from avemo_ros.srv import GetEmotionHistory
from avemo_ros.state.estimate import Change, EmotionEstimate
from avemo_ros.state.memory import History
from avemo_ros.state.steady import SteadyState


def event_message(change: Change, frame_id: str) -> EmotionEvent:
    """A change of a steady emotion as a message."""
    return EmotionEvent(
        header=header(change.stamp_ns, frame_id),
        person_id=change.person_id,
        face_id=change.face_id,
        voice_id=change.voice_id,
        previous=change.previous,
        label=change.label,
        confidence=float(change.confidence),
        lasted=float(change.lasted_s),
    )


def steady_message(
    estimate: EmotionEstimate, steady: SteadyState | None, frame_id: str, latency_s: float
) -> EmotionState:
    """A person's state with the steady label and the smoothed distribution instead of the
    newest ones; status, ids and box stay."""
    claim = replace(
        estimate,
        label=steady.label if steady is not None else UNKNOWN,
        confidence=steady.confidence if steady is not None else 0.0,
        probabilities=steady.probabilities if steady is not None else (),
    )
    return state_message(claim, frame_id, latency_s)


def history_response(
    history: History, frame_id: str, response: GetEmotionHistory.Response
) -> GetEmotionHistory.Response:
    """A person's last seconds, filled into a response."""
    steady = history.steady
    response.success = True
    response.latest = state_message(history.latest, frame_id, 0.0)
    response.steady_label = steady.label if steady is not None else UNKNOWN
    if steady is not None:
        response.steady_confidence = float(steady.confidence)
        response.steady_since = max(0.0, to_s(history.latest.stamp_ns - steady.since_ns))
    response.labels = list(EMOTIONS)
    response.distribution = [float(value) for value in history.distribution]
    response.trend = [float(value) for value in history.trend]
    response.observed = float(history.observed_s)
    response.changes = _labels(history)
    return response


def _labels(history: History) -> list[str]:
    """Steady labels in turn: the one that the window begins with, then each that came."""
    if not history.changes:
        return [history.steady.label] if history.steady is not None else []
    return [history.changes[0].previous, *(change.label for change in history.changes)]
