"""How far a bag's images are ahead of its sound, by looking and listening."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.timing_statistics import MouthAndSound, Offset
from avemo_ros.clock import to_ns
from avemo_ros.config import InputConfig, PipelineConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.engine.feature_extractor import FeatureExtractor
from avemo_ros.engine.input_issues import InputIssues
from avemo_ros.replay.feature_worker import recorded
from avemo_ros.replay.runner import RAW
from avemo_ros.vision.face import FrameTracks


def look(recording: Recording, seconds: float) -> Offset:
    """Make face tracks and spectrogram as the live nodes do, and compare mouth and sound.

    Args:
        recording: with images and sound.
        seconds: how much of it, from its first image or sound on [s]; 0: all.

    Raises:
        WeightsError: a model that it takes is not installed.
    """
    # Stamps that are far from the times of recording are what is looked for, too.
    config = PipelineConfig(input=InputConfig(max_input_age_s=0.0))
    findings = InputIssues()
    audio = AudioStage(config.audio, config.input, findings.of("sound"))
    gathered = MouthAndSound()
    first_ns, cut = None, False
    with closing(FeatureExtractor(config, findings)) as extractor:
        for log_ns, item in recorded(recording, RAW):
            first_ns = log_ns if first_ns is None else first_ns
            if seconds and log_ns - first_ns >= to_ns(seconds):
                cut = True
                break
            seen = extractor.push(log_ns, item)
            if isinstance(seen, FrameTracks):
                gathered.take_tracks(seen)
            elif isinstance(seen, AudioBlock):
                for chunk in audio.push(seen, log_ns):
                    gathered.take_chunk(chunk)
        for chunk in () if cut else audio.flush():
            gathered.take_chunk(chunk)
    offset = gathered.offset()
    if offset.seconds is None and cut:
        how = f"{offset.how} (in the first {seconds:g} s; use --look 0 for the whole bag)"
        return replace(offset, how=how)
    return offset
