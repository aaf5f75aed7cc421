"""What of people a recording holds, told by the types of its topics."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from avemo_ros.bag import messages

_PICTURES: Final = "pictures"
_SOUND: Final = "sound"
_FACES: Final = "small grey crops of their faces with landmarks"
_SPEECH: Final = "spectrograms of their speech"
_STATES: Final = "states"
_NOTHING: Final = ""

_HOLDS: Final = {
    messages.IMAGE: _PICTURES,
    messages.COMPRESSED_IMAGE: _PICTURES,
    messages.AUDIO_DATA: _SOUND,
    "audio_common_msgs/msg/AudioData": _SOUND,
    messages.AUDIO_INFO: _NOTHING,
    messages.FACE_TRACKS: _FACES,
    messages.SPECTROGRAM: _SPEECH,
    messages.EMOTION_STATES: _STATES,
    "std_msgs/msg/Bool": _NOTHING,
}


def says(kinds: Mapping[str, str], further: Collection[str]) -> str:
    """What of people is in a bag.

    Args:
        kinds: type of each topic; "" where it is not known yet.
        further: topics of which the user alone knows what they are.
    """
    held = {_HOLDS.get(kind) for kind in kinds.values()}
    raw = [word for word in (_PICTURES, _SOUND) if word in held]
    features = " and ".join(word for word in (_FACES, _SPEECH) if word in held)
    told = {_PICTURES, _SOUND, _FACES, _SPEECH}
    unknown = ", ".join(
        topic
        for topic, kind in sorted(kinds.items())
        if kind not in _HOLDS or (topic in further and _HOLDS[kind] not in told)
    )
    also = f"; and whatever {unknown} may hold of people" if unknown else ""
    if raw:
        pair = f", and features of them: {features}" if features else ""
        return f"raw {' and '.join(raw)} of people{pair}; these are personal data{also}"
    if features:
        without = "" if unknown else "no pictures and no sound, but "
        return f"{without}features of people: {features}; these are personal data, too{also}"
    if unknown:
        # Nothing is denied of topics that may hold anything.
        return f"whatever {unknown} may hold of people"
    only = ", only what nodes say of them" if _STATES in held else ""
    return f"neither pictures nor sound nor features of people{only}"
