"""A root file system from `infra/Dockerfile`: its own instructions, carried out below a folder.

What takes an engine is left out: the base image is this machine's Python, and nobody changes user. The image's one
folder, `/segue`, stands below the folder, and wherever an instruction names it, the path of that is meant.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import msgspec

from tests.project.files import ROOT

DOCKERFILE = ROOT / "infra" / "Dockerfile"
IMAGE_FOLDER = re.compile(r"(?<![\w./])/segue(?![\w.])")
LONGEST_S = 300


class Image(msgspec.Struct, frozen=True):
    """An assembled image: where its `/segue` is, and what a container of it begins with."""

    root: Path
    folder: Path
    environment: Mapping[str, str]
    user: str
    labels: Mapping[str, str]


class _Stage:
    """A stage under way. Each has the same paths, so that it makes room for the next one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root
        self.user = ""
        self.environment = {"PATH": os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"])}
        self.labels: dict[str, str] = {}

    def there(self, path: str) -> Path:
        """A path of the image, here."""
        return self.folder / self.with_paths_here(path)

    def with_paths_here(self, text: str) -> str:
        return IMAGE_FOLDER.sub(str(self.root / "segue"), text)

    def make_room(self, alias: str) -> None:
        self.root = self.root.rename(self.root.with_name(alias))


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """The name and the rest of each instruction; none may go over several lines."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def context() -> Sequence[str]:
    """The tracked files that an engine would get to see, by `.dockerignore`: the last line that matches decides."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] not in "#"]
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file() and not _is_ignored(path, lines)]


def _is_ignored(path: str, lines: Sequence[str]) -> bool:
    ignored = False
    names = [str(name) for name in (PurePosixPath(path), *PurePosixPath(path).parents)]
    for line in lines:
        pattern = line.removeprefix("!").removeprefix("**/")
        if any(fnmatch(name, pattern) for name in names):
            ignored = not line.startswith("!")
    return ignored


def assembled(folder: Path) -> Image:
    """The last stage, assembled below a new folder. Raises CalledProcessError for an instruction that fails."""
    stages: dict[str, _Stage] = {}
    stage = _Stage(folder / "image")
    for name, rest in instructions(DOCKERFILE.read_text(encoding="utf-8")):
        if name == "FROM":
            for alias, before in stages.items():
                before.make_room(alias)
            stage = _Stage(folder / "image")
            if " AS " in rest:
                stages[rest.partition(" AS ")[2]] = stage
        else:
            _CARRIED_OUT[name](stage, rest, stages)
    return Image(stage.root / "segue", stage.folder, stage.environment, stage.user, stage.labels)


def _workdir(stage: _Stage, rest: str, _stages: Mapping[str, _Stage]) -> None:
    stage.folder = stage.there(rest)
    stage.folder.mkdir(parents=True, exist_ok=True)


def _copy(stage: _Stage, rest: str, stages: Mapping[str, _Stage]) -> None:
    options, source, target = re.fullmatch(r"(--from=\w+ )?(\S+) (\S+)", rest).groups()  # type: ignore[union-attr]
    if options:
        before = stages[options.strip().removeprefix("--from=")]
        shutil.copytree(before.there(source), stage.there(target), symlinks=True)
        return
    for path in context():
        if path == source or path.startswith(f"{source}/"):
            copied = stage.there(target) / PurePosixPath(path).relative_to(
                source if path != source else Path(path).parent
            )
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, copied)


def _run(stage: _Stage, rest: str, _stages: Mapping[str, _Stage]) -> None:
    # pip's own settings and cache are this machine's.
    whole = {
        **{name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "HOME"))},
        **stage.environment,
    }
    subprocess.run(
        ["/bin/sh", "-c", stage.with_paths_here(rest)], cwd=stage.folder, env=whole, check=True, timeout=LONGEST_S
    )


def _env(stage: _Stage, rest: str, _stages: Mapping[str, _Stage]) -> None:
    for word in shlex.split(rest):
        name, _, value = word.partition("=")
        value = value.replace("$PATH", stage.environment["PATH"])
        stage.environment[name] = stage.with_paths_here(value)


def _label(stage: _Stage, rest: str, _stages: Mapping[str, _Stage]) -> None:
    stage.labels.update((name, value) for name, _, value in (word.partition("=") for word in shlex.split(rest)))


def _user(stage: _Stage, rest: str, _stages: Mapping[str, _Stage]) -> None:
    stage.user = rest


def _arg(_stage: _Stage, _rest: str, _stages: Mapping[str, _Stage]) -> None:
    """Which base it is, is this machine's."""


_CARRIED_OUT = {
    "WORKDIR": _workdir,
    "COPY": _copy,
    "RUN": _run,
    "ENV": _env,
    "LABEL": _label,
    "USER": _user,
    "ARG": _arg,
}
