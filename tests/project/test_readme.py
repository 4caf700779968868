"""What the README says is so: its commands, its folders, its example."""

import os
import re

from ruamel.yaml import YAML

from segue.domain.catalog import problems
from segue.metrics import METRICS
from tests.project.files import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {"help", "demo", "test", "test-all", "sdks", "cloud", "check", "audit", "bench", "fuzz", "lock", "tracker"}


def test_the_makefile_has_the_promised_targets_and_help_lists_each() -> None:
    assert set(re.findall(r"^([a-z][a-z-]*):[^=].*## \S", MAKEFILE, re.MULTILINE)) == TARGETS


def test_every_make_command_in_the_readme_is_a_target() -> None:
    commands = set(re.findall(r"\bmake ([a-z][a-z-]*)", README))
    assert {"demo", "test"} <= commands <= TARGETS


def test_every_folder_and_file_that_the_readme_points_at_exists() -> None:
    table = README.split("## Where things are")[1].split("\n## ")[0]
    paths = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_ci_runs_check_then_audit_then_test_then_test_all() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^stage make (\S+)$", script, re.MULTILINE) == ["check", "audit", "test", "test-all"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_example_segment_is_the_one_in_the_catalogue() -> None:
    yaml = YAML(typ="safe")
    example = yaml.load(re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[0])["segments"]
    catalogue = yaml.load(ROOT / "infra" / "catalog" / "segments.yaml")["segments"]
    for name, segment in example.items():
        assert segment.items() <= catalogue[name].items()


def test_the_example_experiment_is_one() -> None:
    examples = [
        YAML(typ="safe").load(each) for each in re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    ]
    [example] = [each for each in examples if "experiments" in each]
    example["segments"] = YAML(typ="safe").load(ROOT / "infra" / "catalog" / "segments.yaml")["segments"]
    assert problems(example) == []


def test_every_metric_is_in_the_readme_as_it_is_told() -> None:
    rows = re.findall(r"^\| `(segue_\w+)` \| (.*) \| (.+) \|$", README, re.MULTILINE)
    assert rows == [(metric.name, ", ".join(metric.labels[1:]), metric.meaning) for metric in METRICS]


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", README)
    assert links
    for path, section in links:
        assert (ROOT / path).exists(), path
        if section:
            page = (ROOT / (path or "README.md")).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
            assert section in {anchor(heading) for heading in headings}, section


def anchor(heading: str) -> str:
    """How a page is led to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_alert_has_its_line_in_the_readme() -> None:
    alerts = set(re.findall(r'^    "(.+)" = \{$', (ROOT / "infra/terraform/alerts.tf").read_text(), re.MULTILINE))
    table = README.split("### When an alert comes")[1].split("\n#")[0]
    assert alerts
    assert alerts <= set(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))
