"""A function where it is deployed, as `gcloud` sees and moves it.

What a release has to know on its way back, Cloud Run's tags know: `candidate` is the revision that a release brings,
`previous` the one that answered before it. It runs where gcloud is, hence on the standard library alone.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_READ = 1000


class Failed(Exception):
    """A release cannot go on; says what failed, and why."""


@dataclass(frozen=True)
class Service:
    """A function's service in Cloud Run. What it does raises Failed where gcloud does."""

    name: str
    project: str
    region: str

    def answering(self) -> str:
        """The revision that has all requests. Raises Failed where several share them."""
        traffic: Sequence[Mapping[str, Any]] = self._status().get("traffic", ())
        shares: Mapping[str, int] = {each["revisionName"]: each["percent"] for each in traffic if each.get("percent")}
        if len(shares) != 1:
            raise Failed(
                f"{self.name}: expected one revision with all requests, found {shares}. A release is under way or broke"
                " off; python -m infra.release.roll_back ends it"
            )
        return next(iter(shares))

    def create(self, image: str) -> str:
        """A new revision, which is ready and has no requests. Fails if it does not get ready.

        It is not tagged at once: gcloud would name it for that, and Terraform then give the name to its own, too.
        """
        self._gcloud("update", f"--image={image}", "--no-traffic")
        created: str = self._status()["latestCreatedRevisionName"]
        return created

    def remember(self, previous: str, candidate: str) -> None:
        """Where the way back leads, and the way on."""
        self._gcloud("update-traffic", f"--update-tags=previous={previous},candidate={candidate}")

    def send_to_candidate(self, percent: int) -> None:
        """A share of the requests; the rest stays where it is."""
        self._gcloud("update-traffic", f"--to-tags=candidate={percent}")

    def settle(self) -> None:
        """All requests to the newest revision, also when Terraform makes one."""
        self._gcloud("update-traffic", "--to-latest")

    def go_back(self) -> None:
        """All requests to the revision before, and none to newer ones."""
        self._gcloud("update-traffic", "--to-tags=previous=100")

    def _status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = json.loads(self._gcloud("describe", "--format=json"))["status"]
        return status

    def _gcloud(self, verb: str, *options: str) -> str:
        return gcloud(
            "run", "services", verb, self.name, *options, f"--project={self.project}", f"--region={self.region}"
        )


def errors(revisions: Iterable[str], project: str) -> Sequence[str]:
    """What these revisions logged as errors since they exist, each in a line; `MOST_READ` of them at most."""
    named = " OR ".join(f'resource.labels.revision_name="{revision}"' for revision in revisions)
    wanted = f'resource.type="cloud_run_revision" AND severity>=ERROR AND ({named})'
    read = gcloud("logging", "read", wanted, f"--limit={MOST_READ}", "--format=json", f"--project={project}")
    return [_line(entry) for entry in json.loads(read)]


def gcloud(*arguments: str) -> str:
    """What a command of gcloud prints. Raises Failed with what it complains of."""
    done = subprocess.run(["gcloud", *arguments, "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"gcloud {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _line(entry: Mapping[str, Any]) -> str:
    said = entry.get("textPayload") or entry.get("jsonPayload") or entry.get("protoPayload") or {}
    return f"{entry['resource']['labels']['revision_name']}: {said}"
