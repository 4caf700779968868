"""What the page on scale computes is what it says, and follows from the topology and the code."""

import re

from emulator.topology import topology
from functions.tick.tick import MOST_PER_SHARD
from segue.domain.profile import SHARDS
from tests.project.files import ROOT

PAGE = (ROOT / "infra" / "SCALE.md").read_text(encoding="utf-8")
[BLOCK] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CLAIM = re.compile(r"^(\w+) = .*# ([\d,]+(?:\.(\d+))?)(?=\D|$)", re.MULTILINE)


def test_every_line_of_the_arithmetic_comes_to_what_it_says() -> None:
    found: dict[str, float] = {}
    exec(BLOCK, found)  # noqa: S102  # the page's own arithmetic
    claims = CLAIM.findall(BLOCK)
    assert len(claims) == len(re.findall(r"^\w+ = ", BLOCK, re.MULTILINE))
    assert [(name, f"{found[name]:,.{len(decimals)}f}") for name, _, decimals in claims] == [
        (name, said) for name, said, _ in claims
    ]


def test_its_shards_ticks_and_instances_are_the_codes_own() -> None:
    assert f"due_index = {SHARDS} * 500 " in BLOCK
    assert f"due = {MOST_PER_SHARD:_} * {SHARDS} / 60 " in BLOCK
    for name, most in re.findall(r"^(\w+) = .*# [\d.]+, of (\d+)$", BLOCK, re.MULTILINE):
        assert topology()["functions"][name]["instances"]["max"] == int(most)
    stream = topology()["functions"]["stream"]
    assert f"pages = {stream['concurrency']:_} * {stream['instances']['max']} " in BLOCK


def test_its_measurements_are_those_that_it_computes_with() -> None:
    for name, measured in re.findall(r"^\| `(\w+)`[^|]*\| ([\d,]+) \|", PAGE, re.MULTILINE):
        assert f"{name} = " in BLOCK
        assert f"* {measured.replace(',', '_')}e-6" in re.findall(rf"^{name} = .*", BLOCK, re.MULTILINE)[0]
