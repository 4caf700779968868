"""What a lock file pins."""

from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "infra" / "requirements.lock"
ALL = ROOT / "requirements.lock"


def pinned(lock: Path) -> Sequence[tuple[str, str]]:
    """Name and version of what a lock pins for this platform, by name."""
    lines = [line.removesuffix("\\").strip() for line in lock.read_text(encoding="utf-8").splitlines()]
    wanted = [Requirement(line) for line in lines if line and not line.startswith(("#", "--"))]
    here = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    return sorted((canonicalize_name(each.name), str(each.specifier).removeprefix("==")) for each in here)
