"""Features of the items of a data set, made once and then read from the cache.

    items = list_items("ravdess", root).items
    corpus, report = prepare(items, cache=Path("~/.cache/avemo").expanduser(), workers=4)

Images and sound go through the code that runs on the robot.  See docs/preparation.md.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from avemo_ros import process_pool
from avemo_ros.data.dataset import Item
from avemo_ros.data.feature_cache import DiskCache, ItemSource, ItemSources, MemoryCache
from avemo_ros.data.features import (
    BROKEN,
    FINDING_KINDS,
    NO_FACE,
    NO_SOUND,
    SILENT,
    Corpus,
    Features,
    Finding,
    PrepareConfig,
    PreparedItem,
)
from avemo_ros.data.file_reader import PARTS, VERSION, FileReader, only
from avemo_ros.errors import ConfigError
from avemo_ros.process_pool import Done, Failed


@dataclass(frozen=True, slots=True)
class ReadJob:
    """Files that are read in one go."""

    files: tuple[tuple[Path, tuple[Item, ...]], ...]

    def __len__(self) -> int:
        return sum(len(items) for _, items in self.files)

    @property
    def items(self) -> list[Item]:
        """All items, file by file."""
        return [item for _, items in self.files for item in items]


def read_files(
    jobs: Sequence[ReadJob], config: PrepareConfig, want: frozenset[str], workers: int
) -> Iterator[tuple[ReadJob, list[PreparedItem]]]:
    """What could be made of the items of each job, in the order in which jobs are done.

    Args:
        jobs: what to read.
        config: how.
        want: which parts, see `media.PARTS`.
        workers: processes; 0 reads in this one.

    Raises:
        PoolError: worker processes cannot be started.
    """
    if workers == 0:
        reader = FileReader(config, want)
        try:
            for job in jobs:
                yield job, _read(reader, job)
        finally:
            reader.close()
        return
    crashed: list[ReadJob] = []
    tasks = [_Task(job, config, want) for job in jobs]
    with closing(process_pool.run_jobs(tasks, _work, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                yield jobs[event.number], event.result
            elif isinstance(event, Failed):
                crashed.append(jobs[event.number])
    # Which of the files it was shows when each has a process of its own.
    for job in crashed:
        yield job, _one_by_one(job, config, want, workers)


def _one_by_one(
    job: ReadJob, config: PrepareConfig, want: frozenset[str], workers: int
) -> list[PreparedItem]:
    """What could be made of the items of a job whose process crashed, file by file."""
    tasks = [_Task(ReadJob((file,)), config, want) for file in job.files]
    prepared: list[list[PreparedItem]] = [[] for _ in tasks]
    with closing(process_pool.run_jobs(tasks, _work, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                prepared[event.number] = event.result
            elif isinstance(event, Failed):
                path, items = job.files[event.number]
                finding = Finding(BROKEN, f"'{path}': {event.reason}")
                prepared[event.number] = [PreparedItem(findings=(finding,))] * len(items)
    return [one for part in prepared for one in part]


def _read(reader: FileReader, job: ReadJob) -> list[PreparedItem]:
    prepared: list[PreparedItem] = []
    for path, items in job.files:
        try:
            prepared += reader.read(path, items)
        except Exception as error:  # noqa: BLE001  (one odd file must not end a long run)
            finding = Finding(BROKEN, f"'{path}': {type(error).__name__}: {error}")
            prepared += [PreparedItem(findings=(finding,))] * len(items)
    return prepared


# --- in a worker process


@dataclass(frozen=True, slots=True)
class _Task:
    """A job, and how to do it."""

    job: ReadJob
    config: PrepareConfig
    want: frozenset[str]


_reader: FileReader | None = None
"""Of this worker process: its networks take long to load."""


def _work(task: _Task, _progress: process_pool.Progress) -> list[PreparedItem]:
    global _reader
    if _reader is None:
        _reader = FileReader(task.config, task.want)
    return _read(_reader, task.job)


_IMAGES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pgm", ".ppm")
_IMAGE_FILES: Final = 2048
_SOUND_FILES: Final = 32
"""Files of a job, which becomes one shard of the cache: about a second of work."""


@dataclass(frozen=True, slots=True)
class PreparationProblem:
    """A finding, and the item that it is about."""

    item: Item
    finding: Finding


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """What preparation found."""

    items: int = 0
    computed: int = 0
    """Items made in this run; the others were in the cache."""
    faces: int = 0
    """Items with a face."""
    crops: int = 0
    """Their face crops (0 if crops were not wanted)."""
    speech: int = 0
    """Items with a spectrogram."""
    length_s: float = 0.0
    """Length of all items together, images and broken files apart [s]."""
    took_s: float = 0.0
    """Time the preparation took [s]."""
    troubles: tuple[PreparationProblem, ...] = ()

    def of_kind(self, kind: str) -> tuple[PreparationProblem, ...]:
        """Those whose finding is of one of `features.FINDING_KINDS`."""
        return tuple(trouble for trouble in self.troubles if trouble.finding.kind == kind)

    @property
    def unusable(self) -> tuple[Item, ...]:
        """Items that lack a part: without a face, without sound, silent, broken."""
        found = {
            (trouble.item.dataset, trouble.item.key): trouble.item
            for trouble in self.troubles
            if trouble.finding.kind in (NO_FACE, NO_SOUND, SILENT, BROKEN)
        }
        return tuple(found.values())

    def joined(self, other: PrepareReport) -> PrepareReport:
        """Both reports as one."""
        return PrepareReport(
            self.items + other.items,
            self.computed + other.computed,
            self.faces + other.faces,
            self.crops + other.crops,
            self.speech + other.speech,
            self.length_s + other.length_s,
            self.took_s + other.took_s,
            self.troubles + other.troubles,
        )

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        counts = Counter(trouble.finding.kind for trouble in self.troubles)
        return {
            "items": self.items,
            "made": self.computed,
            "from_cache": self.items - self.computed,
            "with_face": self.faces,
            "crops": self.crops,
            "with_speech": self.speech,
            "length_s": round(self.length_s, 3),
            "took_s": round(self.took_s, 3),
            "counts": {kind: counts[kind] for kind in FINDING_KINDS},
            "troubles": [
                {
                    "dataset": trouble.item.dataset,
                    "key": trouble.item.key,
                    "path": str(trouble.item.path),
                    "kind": trouble.finding.kind,
                    "reason": trouble.finding.reason,
                }
                for trouble in self.troubles
            ],
        }


def prepare(
    items: Sequence[Item],
    config: PrepareConfig | None = None,
    cache: Path | None = None,
    workers: int = 0,
    want: frozenset[str] = PARTS,
    *,
    progress: bool = True,
) -> tuple[Corpus, PrepareReport]:
    """Features of every item.

    An item without a face or without sound, and one whose file is broken, has None for what
    it lacks and is named in the report; it never stops the run.  Interrupted (Ctrl-C), the next
    call goes on where this one was.

    Args:
        items: of one or more data sets.
        config: how; None takes the defaults.
        cache: folder for what is made; None keeps nothing.  Below it each data set and
            configuration has a folder of its own.
        workers: processes; 0 works in this one.
        want: which parts: 'faces', 'landmarks', 'speech'.  A part that is not wanted is None.
        progress: show a bar on a terminal.

    Returns:
        The items in their order with their features, and what was found.

    Raises:
        ConfigError: `want` or `workers` is not allowed.
        DataError: the cache cannot be written, or the workers cannot be started.
    """
    features = [Features()] * len(items)
    report = PrepareReport()
    for part in _parts(items, config or PrepareConfig(), cache, workers, want, progress):
        for places, prepared in part.results():
            for place in places:
                features[place] = prepared.features
        report = report.joined(part.report())
    return Corpus(tuple(items), tuple(features)), report


def fill_cache(
    items: Sequence[Item],
    config: PrepareConfig | None,
    cache: Path,
    workers: int = 0,
    want: frozenset[str] = PARTS,
    *,
    progress: bool = True,
) -> PrepareReport:
    """As `prepare`, but only fills the cache: a data set need not fit into memory."""
    report = PrepareReport()
    for part in _parts(items, config or PrepareConfig(), cache, workers, want, progress):
        for _ in part.results():
            pass
        report = report.joined(part.report())
    return report


def cache_folder(
    cache: Path, dataset: str, config: PrepareConfig, want: Iterable[str]
) -> tuple[Path, dict[str, Any]]:
    """Where features of this making are kept, and what that folder's `about.json` says."""
    parts = sorted(want)
    about = {
        "dataset": dataset,
        "config": _about(config, parts),
        "want": parts,
        "version": VERSION,
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return cache / f"{dataset}-{digest[:12]}", about


def _about(config: PrepareConfig, parts: Sequence[str]) -> dict[str, Any]:
    """What features depend on."""
    about = config.plain()
    # Images are picked by `fps` here, not by the robot's rate; a spectrogram is not cut into
    # chunks, and nobody asks where it is speech.
    del about["vision"]["max_rate_hz"], about["audio"]["chunk_s"]
    del about["audio"]["level_floor_dbfs"]
    if "speech" not in parts:
        del about["audio"]
    return {"audio": about["audio"]} if parts == ["speech"] else about


def _parts(
    items: Sequence[Item],
    config: PrepareConfig,
    cache: Path | None,
    workers: int,
    want: frozenset[str],
    progress: bool,
) -> Iterator[_Preparation]:
    if not want or not want <= PARTS:
        raise ConfigError("want", sorted(want), f"one or more of {', '.join(sorted(PARTS))}")
    if workers < 0:
        raise ConfigError("workers", workers, "0 or more")
    datasets: defaultdict[str, dict[int, Item]] = defaultdict(dict)
    for place, item in enumerate(items):
        datasets[item.dataset][place] = item
    for dataset, own in datasets.items():
        stores: list[MemoryCache | DiskCache] = [MemoryCache()]
        if cache is not None:
            stores = [DiskCache(*cache_folder(cache, dataset, config, want))]
            stores += _with_more(cache, dataset, config, want)
        yield _Preparation(own, stores, config, want, workers, progress)


def _with_more(
    cache: Path, dataset: str, config: PrepareConfig, want: frozenset[str]
) -> Iterator[DiskCache]:
    """Caches that are there already and hold what is wanted and other parts."""
    others = sorted(PARTS - want)
    for number in range(1, len(others) + 1):
        for more in combinations(others, number):
            folder, about = cache_folder(cache, dataset, config, want.union(more))
            if folder.is_dir():
                yield DiskCache(folder, about)


@dataclass(frozen=True, slots=True)
class _Note:
    """What the report needs to know of an item."""

    crops: int
    has_speech: bool
    length_s: float
    findings: tuple[Finding, ...]


class _Preparation:
    """Of one data set."""

    def __init__(
        self,
        items: dict[int, Item],
        stores: Sequence[MemoryCache | DiskCache],
        config: PrepareConfig,
        want: frozenset[str],
        workers: int,
        progress: bool,
    ) -> None:
        self._items = items
        self._stores = stores
        self._config, self._want = config, want
        self._workers = workers
        self._progress = progress
        self._began = time.monotonic()
        self._places: defaultdict[ItemSource, list[int]] = defaultdict(list)
        sources = ItemSources()
        for place, item in items.items():
            self._places[sources.of(item)].append(place)
        self._notes: dict[ItemSource, _Note] = {}
        self._prepared = 0

    def results(self) -> Iterator[tuple[list[int], PreparedItem]]:
        """The places of items and what was made of them: first what is in the cache."""
        for store in self._stores:
            left = [source for source in self._places if source not in self._notes]
            for source, prepared in store.read(left):
                kept = only(prepared, self._want)
                self._note(source, kept)
                yield self._places[source], kept
        missing = {
            source: self._items[places[0]]
            for source, places in self._places.items()
            if source not in self._notes
        }
        for source, prepared in self._make(missing):
            self._note(source, prepared)
            self._prepared += len(self._places[source])
            yield self._places[source], prepared

    def report(self) -> PrepareReport:
        """What `results` went through."""
        found = [
            (item, self._notes[source])
            for source, places in self._places.items()
            for item in (self._items[place] for place in places)
        ]
        return PrepareReport(
            items=len(found),
            computed=self._prepared,
            faces=sum(note.crops > 0 for _, note in found),
            crops=sum(note.crops for _, note in found),
            speech=sum(note.has_speech for _, note in found),
            length_s=sum(note.length_s for _, note in found),
            took_s=time.monotonic() - self._began,
            troubles=tuple(
                PreparationProblem(item, finding)
                for item, note in found
                for finding in note.findings
            ),
        )

    def _note(self, source: ItemSource, prepared: PreparedItem) -> None:
        times = prepared.features.face_times_s
        self._notes[source] = _Note(
            crops=0 if times is None else len(times),
            has_speech=prepared.features.spectrogram is not None,
            length_s=prepared.length_s,
            findings=prepared.findings,
        )

    def _make(
        self, missing: dict[ItemSource, Item]
    ) -> Iterator[tuple[ItemSource, PreparedItem]]:
        if not missing:
            return
        dataset = next(iter(missing.values())).dataset
        jobs = _jobs(list(missing.values()), self._config, self._want)
        sources = {id(item): source for source, item in missing.items()}
        with tqdm(
            total=len(self._places),
            initial=len(self._places) - len(missing),
            desc=dataset,
            unit="item",
            # None: only on a terminal.
            disable=None if self._progress else True,
        ) as bar:
            for job, prepared in read_files(jobs, self._config, self._want, self._workers):
                results = [
                    (sources[id(item)], one)
                    for item, one in zip(job.items, prepared, strict=True)
                ]
                # What is broken is tried again each time: it may have been the disk.
                self._stores[0].write([one for one in results if not _is_broken(one[1])])
                bar.update(len(job))
                yield from results


def _is_broken(prepared: PreparedItem) -> bool:
    return any(finding.kind == BROKEN for finding in prepared.findings)


def _jobs(items: list[Item], config: PrepareConfig, want: frozenset[str]) -> list[ReadJob]:
    """Items of one file together; as many files as make a second or so of work."""
    files: defaultdict[Path, list[Item]] = defaultdict(list)
    for item in items:
        files[item.path].append(item)
    jobs: list[ReadJob] = []
    batches: defaultdict[int, list[tuple[Path, tuple[Item, ...]]]] = defaultdict(list)
    for path, own in files.items():
        size = _job_size(own[0], config, want)
        batches[size].append((path, tuple(own)))
        if len(batches[size]) == size:
            jobs.append(ReadJob(tuple(batches.pop(size))))
    return jobs + [ReadJob(tuple(batch)) for batch in batches.values()]


def _job_size(item: Item, config: PrepareConfig, want: frozenset[str]) -> int:
    """Files like that of this item in a job."""
    if item.row is not None:
        return 1
    if item.path.suffix.lower() in _IMAGES:
        return _SOUND_FILES if config.detect else _IMAGE_FILES
    looks = item.has_face and not want.isdisjoint(("faces", "landmarks"))
    return 1 if looks else _SOUND_FILES
