"""A stand-in for `gcloud`: services with revisions, tags and traffic, and a record of what was asked."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tests.project.files import ROOT

Done: TypeAlias = "subprocess.CompletedProcess[str]"

PROGRAM = """\
#!{python} -IS
import json, re, sys

path = "{path}"
asked = [each for each in sys.argv[1:] if each != "--quiet"]
words = [each for each in asked if not each.startswith("--")]
flags = dict((each[2:].partition("=")[::2]) for each in asked if each.startswith("--"))
world = json.load(open(path))
world["asked"].append(sys.argv[1:])


def end(printed="", refused=None):
    json.dump(world, open(path, "w"))
    sys.stdout.write(printed)
    sys.exit(refused)


for refused in world["refuses"]:
    if all(each in " ".join(asked) for each in refused):
        end(refused="ERROR: (gcloud) it does not get ready")

if words[:2] == ["run", "services"]:
    verb, service = words[2], world["services"][words[3]]
    traffic, name = service["traffic"], words[3]
    tagged = lambda tag: next(each["revisionName"] for each in traffic if each.get("tag") == tag)

    def tag(name, revision):
        for each in traffic:
            if each.get("tag") == name:
                del each["tag"]
        traffic.append({{"revisionName": revision, "tag": name}})

    def share(revision, percent):
        served = [each for each in traffic if each.get("percent") and each["revisionName"] != revision]
        whole = sum(each["percent"] for each in served)
        for each in traffic:
            if each["revisionName"] == revision:
                each.pop("percent", None)
        for each in served:
            each["percent"] = each["percent"] * (100 - percent) // whole
        traffic.append({{"revisionName": revision, "percent": percent}})

    if verb == "describe":
        end(json.dumps({{"status": {{"traffic": traffic, "latestCreatedRevisionName": service["latest"]}}}}))
    if verb == "update":
        if service["image"] != flags["image"]:
            service["image"] = flags["image"]
            service["latest"] = name + "-new"
    for given in filter(None, flags.get("update-tags", "").split(",")):
        tag(*given.split("="))
    if "to-tags" in flags:
        to, percent = flags["to-tags"].split("=")
        share(tagged(to), int(percent))
    if "to-latest" in flags:
        share(service["latest"], 100)
    service["traffic"] = [each for each in traffic if each.get("percent") or "tag" in each]
    end()
if words[:2] == ["logging", "read"]:
    wanted = re.findall('revision_name="([^"]+)"', words[2])
    answering = {{
        each["revisionName"]: each["percent"]
        for service in world["services"].values() for each in service["traffic"] if each.get("percent")
    }}
    erring = [each for each in wanted if answering.get(each, 0) >= world["errs"].get(each, 101)]
    logged = [{{"labels": {{"revision_name": each}}}} for each in erring]
    end(json.dumps([{{"resource": each, "jsonPayload": {{"event": "request_failed"}}}} for each in logged]))
if words[:4] == ["artifacts", "docker", "images", "scan"]:
    end("projects/p/locations/europe/scans/1\\n")
if words[:4] == ["artifacts", "docker", "images", "list-vulnerabilities"]:
    end(json.dumps(world["holes"]))
end(refused="ERROR: (gcloud) unknown: " + " ".join(asked))
"""


class Gcloud:
    """The stand-in, in a folder of its own that begins the PATH of what is run here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._world = folder / "world.json"
        program = folder / "gcloud"
        program.write_text(PROGRAM.format(python=sys.executable, path=self._world), encoding="utf-8")
        program.chmod(stat.S_IRWXU)
        self.becomes(services={}, refuses=[], errs={}, holes=[], asked=[])

    def becomes(self, **changed: Any) -> None:
        """`services` as `old` makes them; what it `refuses`: texts a command has all of; `errs`: revision → from which
        percentage of the requests it logs an error; the `holes` that a scan finds."""
        known = json.loads(self._world.read_text(encoding="utf-8")) if self._world.exists() else {}
        self._world.write_text(json.dumps({**known, **changed}), encoding="utf-8")

    @property
    def asked(self) -> Sequence[Sequence[str]]:
        """Every command, as its words."""
        found: Sequence[Sequence[str]] = json.loads(self._world.read_text(encoding="utf-8"))["asked"]
        return found

    def traffic(self) -> Mapping[str, Mapping[str, int]]:
        """Service → revision → its share of the requests in per cent."""
        services = json.loads(self._world.read_text(encoding="utf-8"))["services"]
        return {
            name: {each["revisionName"]: each["percent"] for each in service["traffic"] if each.get("percent")}
            for name, service in services.items()
        }

    def moves(self) -> Sequence[str]:
        """Each change of traffic, as service and where to."""
        return [f"{words[3]} {words[4]}" for words in self.asked if words[:3] == ["run", "services", "update-traffic"]]

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command of the release, as Cloud Build does: in the project's folder, with this `gcloud`."""
        environment = {**os.environ, "PATH": f"{self._folder}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *command: str) -> Done:
        """Run a command of the release to its end."""
        return ended(self.start(*command))


def ended(process: subprocess.Popen[str]) -> Done:
    """What a process ends with."""
    stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def old(name: str, **shares: int) -> Mapping[str, Any]:
    """A service whose revision `NAME-old` has all requests, or its revisions the shares given."""
    traffic = [
        {"revisionName": f"{name}-{each}", "percent": percent} for each, percent in (shares or {"old": 100}).items()
    ]
    return {"image": "before", "latest": f"{name}-old", "traffic": traffic}
