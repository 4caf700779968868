"""A catalogue folder is YAML 1.2, put together, and every problem has its file, line and path."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from emulator.catalog import load
from emulator.catalog_commands import catalog
from emulator.yaml_file import Broken

FIRST = Path(__file__).resolve().parents[2] / "infra" / "catalog"

GOOD = """
segments:
  norwegian:
    name: From Norway
    when: {did: Page Viewed, where: {country: NO, on: 10:30}, since: 2026-01-01T00:00:00Z}
"""


def folder(root: Path, **files: str) -> Path:
    for name, text in files.items():
        (root / f"{name}.yaml").write_text(text, encoding="utf-8")
    return root


def told(root: Path, **files: str) -> list[str]:
    """What is said of the folder, without the folder's own name."""
    with pytest.raises(Broken) as raised:
        load(folder(root, **files))
    return [str(problem).removeprefix(f"{root}/") for problem in raised.value.problems]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(catalog, [str(argument) for argument in arguments])


def test_words_and_times_and_dates_are_text(tmp_path: Path) -> None:
    when = msgspec.json.decode(load(folder(tmp_path, a=GOOD)))["segments"]["norwegian"]["when"]
    assert when == {
        "did": "Page Viewed",
        "where": {"country": "NO", "on": "10:30"},
        "since": "2026-01-01T00:00:00Z",
    }


def test_a_section_may_be_spread_over_files(tmp_path: Path) -> None:
    one = "segments:\n  one: {name: One, when: {segment: two}}\n"
    two = "segments:\n  two: {name: Two, when: {did: A}}\nsettings: {grace: 1m}\n"
    together = msgspec.json.decode(load(folder(tmp_path, a=one, b=two)))
    assert together["segments"].keys() == {"one", "two"}
    assert together["settings"] == {"grace": "1m"}


def test_the_bytes_are_the_same_for_the_same_definitions(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    written = folder(tmp_path / "x", a="segments:\n  s: {name: S, when: {did: A, count: {ge: 2}}}\n")
    rewritten = folder(
        tmp_path / "y", b="# again\nsegments:\n  s:\n    when:\n      count: {ge: 2}\n      did: A\n    name: S\n"
    )
    assert load(written) == load(rewritten)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", 'a.yaml:3: found duplicate key "a" with value "3" (original value: "1")'),
        ("a: [1\nb: 2\n", "a.yaml:2: expected ',' or ']', but got ':'"),
        ("ok: 1\nbad: \x01\n", "a.yaml:2: unacceptable character #x0001: special characters are not allowed"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2: but found another document"),
        ("a: &a [*a]\n", "a.yaml: expected at most 100 levels, and no value inside itself"),
        ("%YAML 1.1\n---\na: NO\n", "a.yaml: expected YAML 1.2, found another version's directive"),
        ("a:\n  b: .nan\n", "a.yaml:2: a.b: expected a number, found nan"),
        ("a:\n  1: b\n", "a.yaml:2: a.1: expected a text as key, found 1; put it in quotes"),
        (
            "a: 9223372036854775808\n",
            "a.yaml:1: a: expected a whole number of at most 64 bits, found 9223372036854775808",
        ),
        ("- a\n", "a.yaml: expected sections such as segments: at the top of the file"),
        ("segments: []\n", "a.yaml:1: segments: expected a mapping of ids"),
    ],
)
def test_what_is_no_file_of_definitions_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    assert told(tmp_path, a=text) == [problem]


def test_a_tag_that_would_make_an_object_is_refused(tmp_path: Path) -> None:
    assert "could not determine a constructor" in told(tmp_path, a="a: !!python/object/apply:os.system [ls]\n")[0]


def test_every_problem_of_every_file_is_named_at_its_line(tmp_path: Path) -> None:
    segments = "\n".join(
        [
            "segments:",
            "  one:",
            "    name: One",
            "    when: {did: A, within: 10 minutes}",
            "  two:",
            "    name: Two",
            "    when:",
            "      all:",
            "        - {did: A, count: 3}",
            "        - {didd: B}",
        ]
    )
    sources = "sources:\n  shop:\n    name: Shop\n    write_keys:\n      - plain text\n"
    assert [line.partition(": expected")[0] for line in told(tmp_path, a=segments, b=sources)] == [
        "a.yaml:4: segments.one.when.within",
        "a.yaml:9: segments.two.when.all[0].count",
        "a.yaml:10: segments.two.when.all[1]",
        "b.yaml:5: sources.shop.write_keys[0]",
    ]


def test_segments_that_refer_to_each_other_in_a_circle_are_refused_by_name(tmp_path: Path) -> None:
    circle = "segments:\n  one: {name: One, when: {segment: two}}\n  two: {name: Two, when: {segment: one}}\n"
    (problem,) = told(tmp_path, a=circle)
    assert problem == (
        "a.yaml:2: segments.one.when.segment: expected no segment that refers to itself, found one → two → one"
    )


def test_an_id_that_two_files_define_is_refused_with_both_places(tmp_path: Path) -> None:
    text = "segments:\n  one: {name: One, when: {did: A}}\n"
    assert told(tmp_path, a=text, b=text) == [f"b.yaml:2: segments.one: is defined already at {tmp_path}/a.yaml:2"]


def test_a_folder_without_definitions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Broken, match=r"expected a folder with .*yaml files, found none"):
        load(tmp_path / "nowhere")


def test_check_counts_what_a_good_catalogue_holds() -> None:
    result = run("check", "--catalog", FIRST)
    assert (result.exit_code, result.output) == (
        0,
        f"{FIRST}: good, with 1 source, 12 segments, 1 score, 2 computed traits, 0 models, 5 slots, 0 experiments, "
        "0 destinations, 0 lists\n",
    )


def test_check_names_the_problems_of_a_broken_one_and_fails(tmp_path: Path) -> None:
    result = run("check", "--catalog", folder(tmp_path, a="segments:\n  one: {name: One}\n"))
    assert result.exit_code == 1
    assert result.output == f"{tmp_path}/a.yaml:2: segments.one.when: expected this part, found nothing\n"


def test_schema_prints_a_json_schema() -> None:
    schema = json.loads(run("schema").output)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"].keys() == {
        "sources",
        "segments",
        "scores",
        "computed",
        "models",
        "slots",
        "experiments",
        "holdouts",
        "destinations",
        "lists",
        "consent",
        "settings",
    }


def test_publish_makes_a_version_of_what_has_changed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    folder(tmp_path, a=GOOD)
    first = run("publish", "--catalog", tmp_path, "--data", data)
    again = run("publish", "--catalog", tmp_path, "--data", data)
    folder(tmp_path, a=GOOD.replace("From Norway", "Norwegian"))
    changed = run("publish", "--catalog", tmp_path, "--data", data)
    assert [result.output.rpartition(" ")[2] for result in (first, again, changed)] == ["1\n", "1\n", "2\n"]


def test_publish_names_no_segment_that_nobody_named(tmp_path: Path) -> None:
    data, slots = tmp_path / "data", "slots: {hero: {name: Hero, default: {}, variants: [{name: a, %s, content: {}}]}}"
    run("publish", "--catalog", folder(tmp_path, a=GOOD), "--data", data)
    asked = "when: {did: Something New}"
    result = run("publish", "--catalog", folder(tmp_path, a=GOOD, b=slots % asked), "--data", data, "--detach")
    assert "filling from the archive: conditions of slots and experiments\n" in result.output


def test_publish_warns_where_visitors_of_a_running_experiment_change_arms(tmp_path: Path) -> None:
    data = tmp_path / "data"
    written = "experiments: {hero: {name: Hero, status: running, coverage: %s, arms: [{id: a}, {id: %s}]}}"
    warned = []
    for coverage, arm in ((0.1, "b"), (0.5, "b"), (0.5, "c"), (0.2, "c")):
        result = run("publish", "--catalog", folder(tmp_path, a=written % (coverage, arm)), "--data", data)
        assert result.exit_code == 0
        warned.append("Warning: experiments.hero" in result.stderr)
    assert warned == [False, False, True, True]


def test_a_dry_run_says_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    data, counting = tmp_path / "data", "segments: {buyer: {name: Buyer, when: {did: %s}}}"
    first = run("publish", "--catalog", folder(tmp_path, a=GOOD), "--data", data, "--dry-run")
    assert first.stdout.startswith(f"{tmp_path}: would be in force as version 1\n+ ")
    assert not data.exists()

    run("publish", "--catalog", folder(tmp_path, a=counting % "A", b=GOOD), "--data", data)
    (tmp_path / "b.yaml").unlink()
    twice = [
        run("publish", "--catalog", folder(tmp_path, a=counting % "B"), "--data", data, "--dry-run") for _ in range(2)
    ]
    for result in twice:
        lines = result.stdout.splitlines()
        assert lines[0] == f"{tmp_path}: would be in force as version 2, in place of version 1"
        assert "~ segments.buyer" in lines
        assert any(line.startswith("- ") for line in lines)
        assert lines[-1] == "would be filled from the archive: buyer"
    same = run("publish", "--catalog", folder(tmp_path, a=counting % "A", b=GOOD), "--data", data, "--dry-run")
    assert same.stdout == f"{tmp_path}: is in force already, as version 1\n"


def test_a_dry_run_of_a_broken_catalogue_has_status_1(tmp_path: Path) -> None:
    result = run("publish", "--catalog", folder(tmp_path, a="segments:\n  one: {name: One}\n"), "--dry-run")
    assert result.exit_code == 1
    assert "segments.one" in result.stderr


def test_publish_refuses_a_broken_catalogue_whole(tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = run("publish", "--catalog", folder(tmp_path, a="segments:\n  one: {name: One}\n"), "--data", data)
    assert result.exit_code == 1
    assert not data.exists()


def test_publish_to_google_wants_a_project(tmp_path: Path) -> None:
    result = run("publish", "--catalog", FIRST, "--platform", "google", "--data", tmp_path)
    assert result.exit_code == 2
    assert "--project" in result.output
