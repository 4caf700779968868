"""Writes what the image is made of as a CycloneDX bill of materials, from its lock.

python -m infra.release.sbom FILE
"""

import argparse
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from infra.release.licences import installed
from infra.release.locks import IMAGE, pinned


def bill() -> str:
    """The bill, as JSON."""
    licences = installed()
    segue = Component(type=ComponentType.APPLICATION, name="segue", bom_ref="segue")
    bom = Bom(
        components=[
            Component(
                type=ComponentType.LIBRARY,
                name=name,
                version=version,
                bom_ref=name,
                purl=PackageURL("pypi", name=name, version=version),
                licenses=[DisjunctiveLicense(name=licences[name])],
            )
            for name, version in pinned(IMAGE)
        ]
    )
    bom.metadata.component = segue
    bom.register_dependency(segue, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def main() -> None:
    """Write the bill."""
    parser = argparse.ArgumentParser(prog="sbom", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(bill(), encoding="utf-8")


if __name__ == "__main__":
    main()
