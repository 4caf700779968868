"""Lists the licences of what is installed by the locks, and of what minifies the tracker; refuses one not allowed here.

    python -m infra.release.licences

`ALLOWED` is what may be used in a product under Apache-2.0 without asking anybody.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from infra.release.locks import ALL, IMAGE, ROOT, pinned

ALLOWED: Mapping[str, str] = {
    "Apache-2.0": "our own",
    "MIT": "permissive",
    "MIT-0": "permissive",
    "MIT-CMU": "permissive",
    "BSD": "permissive",
    "BSD-2-Clause": "permissive",
    "BSD-3-Clause": "permissive",
    "CNRI-Python": "permissive, Python's of old",
    "ISC": "permissive",
    "PSF-2.0": "permissive, Python's",
    "MPL-2.0": "asks for changes to its own files alone, and none is changed here",
}

AS_WRITTEN: Mapping[str, str] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Names of licences that packages use instead of the usual ones."""

UNSAID: Mapping[str, str] = {
    "axe-playwright-python": "MIT",
}
"""Packages whose metadata names no licence, by the licence that their own files have."""


def parts(written: str) -> frozenset[str]:
    """The licences that a package names. Of alternatives all count, so that nobody has to choose."""
    whole = {AS_WRITTEN.get(each.strip(), each.strip()) for each in written.split(";")}
    single = {each.strip("() ") for one in whole for each in re.split(r" (?:AND|OR) ", one)}
    return frozenset(AS_WRITTEN.get(each, each) for each in single)


def refused(licences: Mapping[str, str]) -> Mapping[str, str]:
    """Of packages with their licences those that are not allowed."""
    return {name: written for name, written in licences.items() if not parts(written) <= set(ALLOWED)}


def installed() -> Mapping[str, str]:
    """Package → licence as written, of every package of Python that is installed."""
    program = Path(sys.executable).with_name("pip-licenses")
    listed = subprocess.run(
        [str(program), "--format=json", "--with-system"], capture_output=True, text=True, check=True
    )
    found: Mapping[str, str] = {canonicalize_name(each["Name"]): each["License"] for each in json.loads(listed.stdout)}
    return {**found, **UNSAID}


def of_the_tracker() -> Mapping[str, str]:
    """Package → licence of the packages of npm that minify the tracker."""
    lock = json.loads((ROOT / "tracker" / "package-lock.json").read_text(encoding="utf-8"))
    return {name.rpartition("node_modules/")[2]: each["license"] for name, each in lock["packages"].items() if name}


def _grouped(licences: Mapping[str, str]) -> Iterator[str]:
    by_licence = defaultdict(list)
    for name, written in sorted(licences.items()):
        by_licence[" and ".join(sorted(parts(written)))].append(name)
    yield from (f"  {licence}: {', '.join(names)}" for licence, names in sorted(by_licence.items()))


def main() -> None:
    """Print the list; the exit status is 1 where a licence is not allowed."""
    known = installed()
    missing = [name for name, _ in pinned(ALL) if name not in known]
    if missing:
        sys.exit(f"Expected what requirements.lock pins, found none of: {', '.join(missing)}")
    image = {name for name, _ in pinned(IMAGE)}
    development = {name: known[name] for name, _ in pinned(ALL) if name not in image}
    lists = {"In the image": {name: known[name] for name in image}, "Beside it": development, "npm": of_the_tracker()}
    for title, licences in lists.items():
        print("\n".join([f"{title}:", *_grouped(licences)]))
    bad = {name: written for licences in lists.values() for name, written in refused(licences).items()}
    if bad:
        sys.exit(
            "Not allowed (infra/release/licences.py): " + "; ".join(f"{name}: {bad[name]}" for name in sorted(bad))
        )


if __name__ == "__main__":
    main()
