"""A model of your own instead of a released one: a class, or ONNX files; docs/extending.md."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import BINS
from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError, PredictionError, WeightsError
from avemo_ros.extension import is_named, load_named
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION, WORDS
from avemo_ros.model.preprocess import FACE_SIDE

if TYPE_CHECKING:
    from avemo_ros.model.predictor import NetworkRuntime

_SETTING: Final = "model.weights"
_COLUMNS: Final = 100
"""Of the spectrogram that a model is tried with."""
_SIDES: Final = (16, 1024)
_METHODS: Final = ("embed", "encode_audio", "classify_faces", "fuse")
_ANSWER: Final = (1, len(EMOTIONS))
_UNSEEN: Final = 1e-6
"""Probability of an emotion that a model does not know."""


class OwnModel:
    """Base class of a model of your own.

    Define `score_faces`, `score_voice`, or both.  The frames of a window are averaged, and face
    and voice are joined by the sum of their log-probabilities.  To do more than that, override
    `embed`, `encode_audio`, `classify_faces` and `fuse` as well (`predictor.NetworkRuntime`).
    """

    name = "own"
    """Of the runtime, for logs."""
    model_id = ""
    """Name and version, as messages carry it; '' becomes the name of the class."""
    device = "cpu"
    precision = "float32"
    face_side = FACE_SIDE
    """Side of the face images that `score_faces` takes [pixels]."""
    face_width = len(EMOTIONS)
    """Length of what `embed` makes of a face."""

    def __init__(self, config: ModelConfig) -> None:
        """Set up; `config` has the threads and the device that the user wants."""
        self.config = config
        self.model_id = self.model_id or type(self).__name__

    def score_faces(self, images: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Logits of faces.

        Args:
            images: (N, 1, face_side, face_side) grey, aligned, each of zero mean and unit
                deviation.

        Returns:
            (N, 7) logits over `labels.EMOTIONS`: angry, disgust, fear, happy, neutral, sad,
            surprise.
        """
        return np.zeros((len(images), len(EMOTIONS)), np.float32)

    def score_voice(self, spectrogram: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Logits of a window of speech.

        Args:
            spectrogram: (1, 1, T, 200) columns of 10 ms, T from 63 to 1000, bins of 20 Hz from
                0 to 4 kHz, -2 (80 dB below the loudest point) to 2.

        Returns:
            (1, 7) logits over `labels.EMOTIONS`.
        """
        return np.zeros((len(spectrogram), len(EMOTIONS)), np.float32)

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `NetworkRuntime.embed`: here the log-probabilities of each face."""
        return _log_softmax(self.score_faces(images))

    def encode_audio(
        self, spectrogram: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.encode_audio`: here the log-probabilities, twice."""
        log = _log_softmax(self.score_voice(spectrogram))
        return log, log

    def classify_faces(
        self, embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.classify_faces`: the mean over the frames."""
        count = embeddings.shape[1]
        weights = np.full((1, count), 1.0 / count, np.float32)
        return _log_softmax(embeddings.mean(1)), weights

    def fuse(
        self, heard: NDArray[np.float32], embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.fuse`: the sum of the log-probabilities."""
        log, weights = self.classify_faces(embeddings)
        face, voice = self._reads("score_faces"), self._reads("score_voice")
        share = 0.5 if face == voice else float(face)
        return _log_softmax(log + heard), np.array([share], np.float32), weights

    def _reads(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(OwnModel, method)


class OnnxFaces(OwnModel):
    """An ONNX file that classifies single faces."""

    def __init__(self, config: ModelConfig, session: Any) -> None:
        """Set up; its input is (N, 1 or 3, side, side) or, as `avemo export` writes it,
        (N, frames, 1, side, side).

        Raises:
            ValueError: the input has another shape.
        """
        super().__init__(config)
        self._session, self._score = session, _Scores(session)
        given = session.get_inputs()[0]
        shape = list(given.shape)
        self._frames = len(shape) == 5
        if len(shape) not in (4, 5) or shape[-1] != shape[-2] or shape[-3] not in (1, 3):
            raise ValueError(
                f"its input '{given.name}' is {shape}; allowed: faces (N, 1, side, side) or "
                f"(N, 3, side, side), or one called 'spectrogram' of (N, 1, columns, {BINS})"
            )
        side = shape[-1]
        if not isinstance(side, int) or not _SIDES[0] <= side <= _SIDES[1]:
            least, most = _SIDES
            raise ValueError(
                f"its faces are {side} pixels wide; allowed: a fixed side, {least} to {most}"
            )
        self.face_side, self._channels = side, int(shape[-3])

    def score_faces(self, images: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """See `OwnModel.score_faces`."""
        given = np.repeat(images, self._channels, 1)
        return self._score(given[:, None] if self._frames else given)


class OnnxVoice(OwnModel):
    """An ONNX file that classifies spectrograms."""

    def __init__(self, config: ModelConfig, session: Any) -> None:
        """Set up; its input 'spectrogram' is (N, 1, columns, 200)."""
        super().__init__(config)
        self._score = _Scores(session)

    def score_voice(self, spectrogram: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """See `OwnModel.score_voice`."""
        return self._score(spectrogram)


class _OnnxBoth(OwnModel):
    """One file for faces and one for the voice."""

    def __init__(self, config: ModelConfig, faces: OnnxFaces, voice: OnnxVoice) -> None:
        super().__init__(config)
        self.face_side = faces.face_side
        self._faces, self._voice = faces, voice

    def score_faces(self, images: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        return self._faces.score_faces(images)

    def score_voice(self, spectrogram: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        return self._voice.score_voice(spectrogram)


class _Scores:
    """What an ONNX file answers, as logits over EMOTIONS."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        notes: dict[str, str] = session.get_modelmeta().custom_metadata_map
        self._temperature = float(notes.get("temperature", "1"))
        if not (np.isfinite(self._temperature) and self._temperature > 0):
            raise ValueError(f"its temperature is {self._temperature}; allowed: above 0")
        self._columns = _columns_of(notes["classes"]) if "classes" in notes else None

    def __call__(self, given: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        logits = self._session.run(None, {self._input: given})[0]
        if logits.ndim != 2:
            raise ValueError(f"its output is {logits.shape}; allowed: (N, classes)")
        columns = self._columns
        if columns is None:
            known = {
                len(EMOTIONS): tuple(range(len(EMOTIONS))),
                len(SPEECH_CLASSES): SPEECH_TO_EMOTION,
            }
            if logits.shape[1] not in known:
                raise ValueError(
                    f"it answers with {logits.shape[1]} classes; allowed: {len(EMOTIONS)} "
                    f"({', '.join(EMOTIONS)}), {len(SPEECH_CLASSES)} (these and calm), or "
                    "names in its metadata 'classes'"
                )
            columns = known[logits.shape[1]]
        if logits.shape[1] != len(columns):
            raise ValueError(
                f"it answers with {logits.shape[1]} classes, and its metadata 'classes' names "
                f"{len(columns)}"
            )
        log = _log_softmax(logits / self._temperature, len(columns))
        likely = np.full((len(log), len(EMOTIONS)), _UNSEEN)
        for column, emotion in enumerate(columns):
            likely[:, emotion] += np.exp(log[:, column])
        found: NDArray[np.floating[Any]] = np.log(likely)
        return found


def open_own(name: str, config: ModelConfig) -> NetworkRuntime | None:
    """The model of your own that `model.weights` names.

    Args:
        name: 'module:Class', or the path of an ONNX file, or of two with a comma between them
            (faces and voice); see docs/extending.md.
        config: of the model.

    Returns:
        None where it names no model of your own, but a released one or its file.

    Raises:
        ConfigError: the class cannot be loaded or is no model.
        WeightsError: an ONNX file is missing or cannot be used.
    """
    if is_named(name):
        return _of_class(name, config)
    if not is_own(name):
        return None
    paths = files_of(name)
    models = [_of_file(path, config) for path in paths]
    model: OwnModel = models[0]
    if len(models) > 1:
        faces = [one for one in models if isinstance(one, OnnxFaces)]
        voices = [one for one in models if isinstance(one, OnnxVoice)]
        if len(faces) != 1 or len(voices) != 1:
            raise WeightsError(
                f"ONNX files {name}: {len(faces)} read faces and {len(voices)} the voice; "
                "allowed: one file, or one of each"
            )
        model = _OnnxBoth(config, faces[0], voices[0])
    model.name, model.device = "onnxruntime", models[0].device
    model.model_id = "+".join(path.stem for path in paths)
    checked = _Checked(model, name)
    try:
        checked.try_out()
    except PredictionError as error:
        raise WeightsError(f"ONNX file {name} cannot be used: {error}") from error
    return checked


def is_own(name: str) -> bool:
    """Whether `model.weights` names a class or ONNX files rather than a released model."""
    return is_named(name) or name.endswith(".onnx")


def files_of(name: str) -> tuple[Path, ...]:
    """The files that a model of your own is read from: ONNX files, or the module of a class.

    Raises:
        ConfigError: the class cannot be loaded.
    """
    if is_named(name):
        return (Path(inspect.getfile(_class_of(name))),)
    return tuple(Path(part.strip()).expanduser() for part in name.split(","))


class _Checked:
    """A model of your own whose failures and odd answers are errors that name it."""

    def __init__(self, model: NetworkRuntime, where: str) -> None:
        """Set up; `where` is how the user named it."""
        self._model, self._where = model, where
        self.name, self.model_id = str(model.name), str(model.model_id)
        self.device, self.precision = str(model.device), str(model.precision)
        self.face_side, self.face_width = int(model.face_side), int(model.face_width)

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `NetworkRuntime.embed`."""
        (values,) = self._asked("embed", (images,), ((len(images), self.face_width),))
        return values

    def encode_audio(
        self, spectrogram: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.encode_audio`."""
        heard, log = self._asked("encode_audio", (spectrogram,), (None, _ANSWER))
        return heard, log

    def classify_faces(
        self, embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.classify_faces`."""
        wanted = _ANSWER, embeddings.shape[:2]
        log, weights = self._asked("classify_faces", (embeddings,), wanted)
        return log, weights

    def fuse(
        self, heard: NDArray[np.float32], embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.fuse`."""
        wanted = _ANSWER, (1,), embeddings.shape[:2]
        log, share, weights = self._asked("fuse", (heard, embeddings), wanted)
        return log, share, weights

    def try_out(self) -> None:
        """Ask for everything once, of blank input.

        Raises:
            PredictionError: it fails, or an answer has another shape than it should.
        """
        side = self.face_side
        embeddings = self.embed(np.zeros((2, 1, side, side), np.float32))[None]
        heard, _ = self.encode_audio(np.zeros((1, 1, _COLUMNS, BINS), np.float32))
        self.classify_faces(embeddings)
        self.fuse(heard, embeddings)

    def _asked(
        self,
        method: str,
        given: tuple[NDArray[np.float32], ...],
        shapes: Sequence[tuple[int, ...] | None],
    ) -> list[NDArray[np.float32]]:
        """What a method answers, as float32 of these shapes; None: any."""
        try:
            answer = getattr(self._model, method)(*given)
            parts = [answer] if len(shapes) == 1 else list(answer)
            values = [np.asarray(one, np.float32) for one in parts]
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise PredictionError(f"model {self._where}: '{method}' failed ({why})") from error
        if len(values) != len(shapes):
            raise PredictionError(
                f"model {self._where}: '{method}' gives {len(values)} arrays; allowed: "
                f"{len(shapes)}"
            )
        for one, shape in zip(values, shapes, strict=True):
            if shape is not None and one.shape != shape:
                raise PredictionError(
                    f"model {self._where}: '{method}' gives an array {one.shape}; allowed: "
                    f"{shape}"
                )
        return values


def _of_file(path: Path, config: ModelConfig) -> OnnxFaces | OnnxVoice:
    from avemo_ros.onnx_session import chosen_device, open_session

    if not path.is_file():
        raise WeightsError(f"ONNX file {path} does not exist")
    device = chosen_device(config.device)
    try:
        session = open_session(path, config.threads, device)
        inputs = [one.name for one in session.get_inputs()]
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs ({', '.join(inputs)}); allowed: one")
        model = (OnnxVoice if inputs == ["spectrogram"] else OnnxFaces)(config, session)
    except ConfigError:
        raise
    except Exception as error:
        raise WeightsError(f"ONNX file {path} cannot be used: {error}") from error
    model.device = device
    return model


def _class_of(name: str) -> type:
    try:
        found = load_named(name)
    except ValueError as error:
        raise ConfigError(
            _SETTING, name, f"'module:Class' of a model of your own ({error})"
        ) from error
    if not isinstance(found, type):
        raise ConfigError(_SETTING, name, "'module:Class' of a model; this is not a class")
    return found


def _of_class(name: str, config: ModelConfig) -> NetworkRuntime:
    kind = _class_of(name)
    allowed = "a class that extends avemo_ros.model.own_model.OwnModel"
    lacking = [one for one in _METHODS if not callable(getattr(kind, one, None))]
    if lacking:
        raise ConfigError(_SETTING, name, f"{allowed}; this one has no {', '.join(lacking)}")
    try:
        checked = _Checked(kind(config), name)
        checked.try_out()
    except PredictionError as error:
        raise ConfigError(_SETTING, name, f"{allowed} and answers ({error})") from error
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise ConfigError(_SETTING, name, f"{allowed}; making it failed ({why})") from error
    return checked


def _columns_of(names: str) -> tuple[int, ...]:
    """Indices in EMOTIONS of the classes that metadata names: a JSON list, or with commas."""
    try:
        given = json.loads(names)
    except ValueError:
        given = names.split(",")
    columns = []
    for name in given:
        counts_as = WORDS.get(str(name).strip().casefold())
        if counts_as is None:
            known = ", ".join(word for word, label in WORDS.items() if label is not None)
            raise ValueError(f"its class '{name}' is not known; allowed: {known}")
        columns.append(SPEECH_TO_EMOTION[SPEECH_CLASSES.index(counts_as)])
    return tuple(columns)


def _log_softmax(logits: Any, classes: int = len(EMOTIONS)) -> NDArray[np.float32]:
    values = np.asarray(logits, np.float64)
    if values.ndim != 2 or values.shape[1] != classes:
        raise ValueError(f"scores are {values.shape}; allowed: (N, {classes})")
    values = values - values.max(1, keepdims=True)
    log: NDArray[np.float32] = np.asarray(
        values - np.log(np.exp(values).sum(1, keepdims=True)), np.float32
    )
    return log
