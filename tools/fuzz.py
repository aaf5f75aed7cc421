"""Reads many spoilt inputs: each command works, or ends with an error of the package's own.

The doors through which inputs come, and how they are spoilt, are in test/fuzz_doors.py.  A case
has a door and a number, and is the same every time:

    python tools/fuzz.py --door labels --case 1234

Cases run in a process of their own, which is watched: it may take no longer, and no more
memory, than `--seconds` and `--megabytes` say, and it may crash.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_TESTS: Final = Path(__file__).resolve().parent.parent / "test"
_START_S: Final = 300.0
"""Until the first case: libraries are loaded, and sound inputs made."""
_TOLD: Final = 1000
"""Cases, after which it says how far it is."""


def main(argv: list[str] | None = None) -> int:
    """Run the cases; the status is 1 where one fails."""
    args = _arguments().parse_args(argv)
    if args.worker is not None:
        _work(args)
        return 0
    if args.case is not None:
        args.cases, args.first = 1, args.case
    kinds: Counter[str] = Counter()
    for failure in _all(args):
        kinds[failure["kind"]] += 1
        if kinds[failure["kind"]] == 1:
            where = f"--door '{failure['door']}' --case {failure['case']}"
            print(f"{failure['kind']}: {where}\n{failure['trace']}", flush=True)
    for kind, count in kinds.most_common():
        print(f"{count} x {kind}")
    print(f"{args.cases} cases, {kinds.total()} failed, of {len(kinds)} kinds", flush=True)
    return 1 if kinds else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000, help="how many, of all doors")
    parser.add_argument("--first", type=int, default=0, help="number of each door's first case")
    parser.add_argument("--door", help="this one only")
    parser.add_argument("--case", type=int, help="this one only; with --door")
    parser.add_argument("--keep", type=Path, help="folder for the inputs of cases that fail")
    parser.add_argument("--seconds", type=float, default=60.0, help="longest case")
    parser.add_argument("--megabytes", type=int, default=1500, help="most memory, beside code")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser


def _all(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Failures; a process that dies or hangs is begun again behind its case."""
    done = 0
    while done < args.cases:
        for message in _watched(args, done):
            if "at" in message:
                done = message["at"] + 1
                if done % _TOLD == 0:
                    print(f"{done} of {args.cases} cases", file=sys.stderr, flush=True)
            else:
                yield message


def _watched(args: argparse.Namespace, skip: int) -> Iterator[dict[str, Any]]:
    words: list[object] = [
        sys.executable,
        __file__,
        "--cases",
        args.cases,
        "--first",
        args.first,
    ]
    words += ["--worker", skip, "--megabytes", args.megabytes]
    words += ["--door", args.door] if args.door else []
    words += ["--keep", args.keep] if args.keep else []
    # Libraries complain on standard error about what is spoilt, by the megabyte.
    child = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout is not None
    patience, last, left = _START_S, {"at": skip, "door": "none", "case": -1}, b""
    try:
        while True:
            ready, _, _ = select.select([child.stdout], [], [], patience)
            piece = os.read(child.stdout.fileno(), 65_536) if ready else b""
            if not piece:
                break
            patience = args.seconds
            *lines, left = (left + piece).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "broken" in message:
                    raise SystemExit(message["broken"])
                if "end" in message:
                    yield {"at": args.cases}
                    return
                last = message if "at" in message else last
                yield message
        why = "no end within the time" if not ready else "the process has died"
        child.kill()
        if not ready or child.wait() != 0:
            trace = f"  status {child.wait()}"
            yield {**last, "at": last["at"]}
            yield {"door": last["door"], "case": last["case"], "kind": f"{last['door']}: {why}",
                   "trace": trace}  # fmt: skip
    finally:
        child.kill()
        child.wait()


# --- in the watched process


def _work(args: argparse.Namespace) -> None:
    sys.path.insert(0, str(_TESTS))
    from fuzz_doors import DOORS

    from avemo_ros.errors import AvemoError

    logging.disable(logging.CRITICAL)
    doors = {args.door: DOORS[args.door]} if args.door else DOORS
    turns = [name for name, door in doors.items() for _ in range(door.share)]
    random.Random(0).shuffle(turns)  # noqa: S311
    numbers: Counter[str] = Counter()
    used = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    limit = used + args.megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        seeds = {}
        for turn in range(args.cases):
            door = turns[turn % len(turns)]
            number = args.first + numbers[door]
            numbers[door] += 1
            if turn < args.worker:
                continue
            if door not in seeds:
                place = folder / "seeds" / door
                place.mkdir(parents=True)
                try:
                    seeds[door] = doors[door].seeds(place)
                except Exception:  # noqa: BLE001  (told, and then all ends)
                    _tell(broken=traceback.format_exc())
                    return
            _tell(at=turn, door=door, case=number)
            rng = random.Random(f"{door} {number}")  # noqa: S311
            seed = rng.choice(seeds[door])
            path = folder / seed.name
            path.write_bytes(doors[door].spoil(seed, rng))
            begun = time.monotonic()
            try:
                doors[door].read(path)
                fault = None
            except AvemoError as error:
                fault = None if str(error).strip() else error
            except BaseException as error:  # noqa: BLE001  (what is looked for)
                fault = error
            if fault is not None:
                _tell(door=door, case=number, kind=_kind(door, fault), trace=_trace(fault))
                if args.keep is not None:
                    args.keep.mkdir(parents=True, exist_ok=True)
                    (args.keep / f"{door}-{number}-{seed.name}").write_bytes(path.read_bytes())
            elif time.monotonic() - begun > args.seconds:
                _tell(door=door, case=number, kind=f"{door}: too slow", trace="")
            path.unlink(missing_ok=True)
    _tell(end=True)


def _tell(**message: Any) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _kind(door: str, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "avemo_ros" in frame.filename] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    return f"{door}: {type(error).__name__} at {place}"


def _trace(error: BaseException) -> str:
    lines = traceback.format_exception(error)
    return "".join(lines)[-1800:]


if __name__ == "__main__":
    sys.exit(main())
