"""Moves every function to an image: first without requests, then with a share of them, then with all; or back.

    python -m infra.release.deploy IMAGE@sha256:… --waves FILE --project P --region R --share 10 --minutes 5 --errors 0

A candidate that does not get ready stops the release before anything has moved. Errors that candidates log while they
are watched take every function that was moved back to the revision before, the last moved first.
"""

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.release.service import Failed, Service, errors

POLL_S = 20.0


@dataclass(frozen=True)
class Care:
    """Which share of the requests is risked first, in per cent; how long each step is watched; how many errors pass."""

    share: int
    minutes: float
    errors: int


def release(image: str, waves: Sequence[Sequence[Service]], care: Care) -> None:
    """Every function runs the image, or each as before, whatever was raised on the way."""
    candidates = _candidates(image, [service for wave in waves for service in wave])
    moved: dict[Service, str] = {}
    try:
        for wave in waves:
            moving = {service: candidates[service] for service in wave if service in candidates}
            for percent in (care.share, 100):
                for service, revision in moving.items():
                    _say(f"{service.name}: {percent} % to {revision}")
                    moved[service] = revision
                    service.send_to_candidate(percent)
                if moving:
                    _watch(moved, care)
        for service in moved:
            service.settle()
    except BaseException as failure:
        _say(f"{type(failure).__name__}: {failure}\nRolling back")
        roll_back(list(moved))
        raise


def roll_back(moved: Sequence[Service]) -> None:
    """Each function as it was before, the last moved first. Raises Failed with those that could not be, all tried."""
    failures = []
    for service in reversed(moved):
        try:
            service.go_back()
            _say(f"{service.name}: back at the revision before")
        except Failed as failure:
            failures.append(str(failure))
    if failures:
        raise Failed("NOT ROLLED BACK:\n" + "\n".join(failures))


def _candidates(image: str, services: Sequence[Service]) -> Mapping[Service, str]:
    """The new revision of each service that does not run the image yet. None has requests.

    Only when all are ready is the way back marked: `previous` is of one release everywhere, or of the one before.
    """
    answering = {service: service.answering() for service in services}
    found = {}
    for service, before in answering.items():
        candidate = service.create(image)
        if candidate == before:
            _say(f"{service.name}: {before} runs this image already")
            continue
        _say(f"{service.name}: {candidate} is ready, {before} answers")
        found[service] = candidate
    for service, candidate in found.items():
        service.remember(answering[service], candidate)
    return found


def _watch(moved: Mapping[Service, str], care: Care) -> None:
    """Wait while the candidates log no more errors than are let pass, or raise Failed at once."""
    project = next(iter(moved)).project
    until = time.monotonic() + care.minutes * 60
    while True:
        last = time.monotonic() >= until
        found = errors(moved.values(), project)
        if len(found) > care.errors:
            raise Failed("\n".join([f"Expected at most {care.errors} errors, found {len(found)}:", *found[:10]]))
        if last:
            return
        time.sleep(min(POLL_S, max(0.0, until - time.monotonic())))


def _say(line: str) -> None:
    print(line, flush=True)


def _pinned(image: str) -> str:
    if not re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", image):
        raise argparse.ArgumentTypeError(f"expected an image by its digest, name@sha256:…, found {image!r}")
    return image


def _cancel(*_: object) -> None:
    """A build that is cancelled goes back, if it is left the time; nothing cancels that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("cancelled")


def main() -> None:
    """Deploy as the arguments say; the exit status is 1 if everything is as before."""
    parser = argparse.ArgumentParser(prog="deploy", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("image", type=_pinned)
    parser.add_argument("--waves", type=Path, required=True, help="what infra.release.waves printed")
    parser.add_argument("--project", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--share", type=int, choices=range(1, 100), metavar="PERCENT", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--errors", type=int, required=True)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _cancel)
    waves = [
        [Service(name, given.project, given.region) for name in wave]
        for wave in json.loads(given.waves.read_text(encoding="utf-8"))
    ]
    try:
        release(given.image, waves, Care(given.share, given.minutes, given.errors))
    except Failed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
