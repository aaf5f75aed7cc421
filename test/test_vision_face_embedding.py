"""What faces look like: one person's are alike, two people's are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_scene import sample_images
from numpy.typing import NDArray

from avemo_ros.config import IdentityConfig, PipelineConfig, VisionConfig
from avemo_ros.pipeline import Pipeline
from avemo_ros.timing import to_ns
from avemo_ros.vision.alignment import Eyes, eyes_of_mesh
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face_embedding import FaceEmbedder, mean_embedding


@pytest.fixture(scope="module")
def embedder() -> Iterator[FaceEmbedder]:
    with closing(FaceEmbedder()) as made:
        yield made


def eyes_of(image: NDArray[np.uint8]) -> Eyes:
    with closing(FaceAnalyzer(VisionConfig())) as analyzer:
        (face,) = analyzer.process(1, image).faces
    assert face.landmarks is not None
    assert face.pose is not None
    height, width = image.shape[:2]
    return eyes_of_mesh(face.landmarks * np.array((width, height, width)), face.pose)


def filmed(shared_data: Path) -> list[NDArray[np.uint8]]:
    """The first image of each clip of one actor."""
    images = []
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        read, image = cv2.VideoCapture(str(path)).read()
        assert read
        images.append(image)
    return images


def test_an_embedding_has_length_one_and_is_the_same_again(embedder: FaceEmbedder) -> None:
    image = sample_images()[0]
    eyes = eyes_of(image)
    vector = embedder.embed(image, eyes)
    assert vector.shape == (192,)
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-4)
    assert np.array_equal(vector, embedder.embed(image, eyes))


def test_one_person_is_alike_whatever_the_picture_and_another_is_not(
    embedder: FaceEmbedder, shared_data: Path
) -> None:
    first = sample_images()[0]
    changed = [
        first,
        sample_images()[70],
        cv2.resize(first, (320, 240), interpolation=cv2.INTER_AREA),
        cv2.convertScaleAbs(first, alpha=0.6),
        cv2.warpAffine(first, cv2.getRotationMatrix2D((320, 240), 15, 1.0), (640, 480)),
    ]
    hers = [embedder.embed(image, eyes_of(image)) for image in changed]
    his = [embedder.embed(image, eyes_of(image)) for image in filmed(shared_data)]
    for own, others in ((hers, his), (his, hers)):
        middle = mean_embedding(own)
        assert min(float(vector @ middle) for vector in own) > 0.7
        assert max(float(vector @ middle) for vector in others) < 0.35


def test_faces_are_compared_only_where_that_is_asked() -> None:
    images = sample_images()[:30:2]
    found = {}
    for mode in ("none", "tracks", "visit"):
        with closing(FaceAnalyzer(VisionConfig(), IdentityConfig(mode=mode))) as analyzer:
            tracks = [analyzer.process(to_ns(k / 15), image) for k, image in enumerate(images)]
        found[mode] = sum(face.appearance is not None for one in tracks for face in one.faces)
    assert found["none"] == 0
    # Three in the first second.
    assert found["tracks"] == found["visit"] == 3


def test_two_people_who_change_places_behind_an_empty_image_keep_their_ids(
    shared_data: Path,
) -> None:
    his, hers = filmed(shared_data)[0], sample_images()[0]
    left = cv2.resize(his[60:660, 340:940], (400, 400), interpolation=cv2.INTER_AREA)
    right = np.ascontiguousarray(hers[:400, 130:530])
    one, other = np.hstack([left, right]), np.hstack([right, left])
    scenes = [one] * 20 + [np.full_like(one, 90)] * 15 + [other] * 20
    ids = {}
    for mode in ("none", "tracks"):
        with closing(FaceAnalyzer(VisionConfig(), IdentityConfig(mode=mode))) as analyzer:
            tracks = [analyzer.process(to_ns(k / 15), image) for k, image in enumerate(scenes)]
        ids[mode] = [
            [face.face_id for face in sorted(seen.faces, key=lambda face: face.box.x)]
            for seen in (tracks[19], tracks[-1])
        ]
    before, after = ids["tracks"]
    assert len(before) == 2
    assert after == before[::-1]
    before, after = ids["none"]
    assert after != before[::-1]


def test_the_pipeline_names_people_and_forgets_them() -> None:
    images = sample_images()[::2]
    config = PipelineConfig(identity=IdentityConfig(mode="visit"))
    with closing(Pipeline(config)) as pipeline:
        steps = [
            step
            for k, image in enumerate(images)
            for step in pipeline.push_frame(to_ns(1 + k / 15), image)
        ]
        person = steps[-1].attended.person_id
        assert person
        assert {one.person_id for step in steps for one in step.estimates} == {"", person}
        assert pipeline.forget(person) == person
        steps = [
            step
            for k, image in enumerate(images)
            for step in pipeline.push_frame(to_ns(4 + k / 15), image)
        ]
        assert {one.person_id for step in steps for one in step.estimates} == {""}
        assert pipeline.emotion.identity.people == ()
