"""The real logs and reference programs that lie beside the project where it is developed; tests skip without them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
REES46 = SHARED / "data" / "rees46_multistore_2019_10_head.csv.gz"
ESHOP = SHARED / "data" / "eshop_clothing_2008.csv.gz"
BENCH = SHARED / "bench"


def needs(path: Path) -> pytest.MarkDecorator:
    """Skips a test where this file or folder is not at hand."""
    return pytest.mark.skipif(not path.exists(), reason=f"needs ../shared/{path.relative_to(SHARED)}, absent here")
