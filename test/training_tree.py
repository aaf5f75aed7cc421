"""Tiny data sets in the layouts of the real ones, made up: for tests of training."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import cv2
import numpy as np

from avemo_ros.labels import EMOTIONS

RATE = 16_000


def write_faces(folder: Path, count: int = 6) -> None:
    """`<folder>/{train,test}/<class>/{Training,PublicTest}_*.jpg`; a class is a stripe pattern
    of its own."""
    chance = np.random.default_rng(0)
    place = np.arange(48)
    for split, name in (("train", "Training"), ("test", "PublicTest")):
        for label, emotion in enumerate(EMOTIONS):
            (folder / split / emotion).mkdir(parents=True)
            for number in range(count):
                wave_ = 80 * np.sin(place * (label + 1) * 0.25 + chance.uniform(0, 3))
                image = 120 + wave_[:, None] + chance.normal(0, 10, (48, 48))
                path = folder / split / emotion / f"{name}_{label}{number}.jpg"
                cv2.imwrite(str(path), image.clip(0, 255).astype(np.uint8))


def write_sound(path: Path, pitch: float, seconds: float = 1.2) -> None:
    """A hum of some pitch with a little noise, 16 kHz mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(int(pitch)).normal(0, 0.01, len(time))
    hum = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 8))
    samples = (0.2 * hum + noise) * 20_000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.clip(-32768, 32767).astype("<i2").tobytes())


def write_speech(root: Path, actors: tuple[int, ...] = (2, 3, 10, 8)) -> None:
    """A few utterances of every corpus; of RAVDESS one per class and actor."""
    for actor in actors:
        for emotion in range(1, 9):
            name = f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav"
            write_sound(
                root / "ravdess" / f"Actor_{actor:02d}" / name, 80 + 40 * emotion + actor
            )
    for place, letter in enumerate("WEAFTNL"):
        write_sound(root / "emodb" / "wav" / f"03a01{letter}a.wav", 90 + 30 * place)
    for place, folder in enumerate(("Angry", "Happy", "Neutral", "Sad")):
        write_sound(root / "urdu" / folder / f"SM1_F{place}_A010.wav", 100 + 35 * place)
    rows = []
    for place, emotion in enumerate(
        ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
    ):
        name = f"WR0_{emotion}_1"
        write_sound(root / "nemo" / "samples" / f"{name}.wav", 110 + 25 * place)
        rows.append(
            [f"{name}.wav", emotion, 'A "quoted text', "\t", "        WR0", "male", "23"]
        )
    with (root / "nemo" / "data.tsv").open("w", newline="", encoding="utf-8") as file:
        file.write("file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n")
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\")
        for row in rows:
            writer.writerow([row[0], row[1], row[2], "text", *row[4:]])
