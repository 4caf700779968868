"""Scores as values, what their state costs, and which definitions are refused."""

from typing import Any

import pytest

from segue.domain import rules
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.time import DAY

START = 1_700_000_000_000
HEAT = {"events": [{"did": "A", "points": 100}, {"did": "B", "points": -10}], "half_life": "7d", "bounds": [0, 150]}


def hot(score: str = "heat") -> dict[str, Any]:
    return {"hot": {"name": "Hot", "when": {"score": score, "is": {"ge": 50}}}}


def happened(number: int, name: str, after: int) -> Event:
    return Event(message_id=str(number), name=name, occurred_at=START + after, received_at=START + after)


def test_scores_are_read_at_any_instant_within_their_bounds() -> None:
    program = rules.compile({}, scores={"heat": HEAT, "idle": {"events": [{"did": "C", "points": 1}], "within": "1d"}})
    state = rules.fold(program, rules.empty(), [happened(0, "A", 0), happened(1, "A", 0)])
    assert rules.scores(program, state, START) == {"heat": 150, "idle": 0}
    assert rules.scores(program, state, START + 7 * DAY) == {"heat": 100, "idle": 0}
    assert rules.scores(program, state, START + 14 * DAY) == {"heat": 50, "idle": 0}


def test_a_memory_that_came_later_finds_a_score_as_it_was_at_its_newest_event() -> None:
    scores = {"heat": {"events": [{"did": "A", "points": 1}], "half_life": "1s"}}
    before = rules.compile({"hot": {"name": "Hot", "when": {"score": "heat", "is": {"ge": 1}}}}, scores=scores)
    now = rules.compile(
        {"hot": {"name": "Hot", "when": {"score": "heat", "is": {"ge": 1}}, "stays": "1h"}}, scores=scores
    )
    state = rules.fold(before, rules.empty(), [happened(0, "A", 0)])
    assert "hot" in rules.timeline(now, state, START).memberships


def test_the_instant_at_which_a_score_will_have_faded_is_known() -> None:
    program = rules.compile(hot(), scores={"heat": HEAT})
    state = rules.fold(program, rules.empty(), [happened(0, "A", 0)])
    assert rules.timeline(program, state, START).memberships == {"hot": ((START, START + 7 * DAY + 1),)}


def test_the_state_of_a_half_life_does_not_grow_with_events() -> None:
    program, state = rules.compile(hot(), scores={"heat": HEAT}), rules.empty()
    sizes = []
    for number in range(400):
        state = rules.fold(program, state, [happened(number, "AB"[number % 2], number * DAY // 7)])
        sizes.append(len(rules.encode(state)) - len(state.ids))
    assert max(sizes) < 500


def test_a_score_that_is_renamed_keeps_its_state() -> None:
    before = rules.compile(hot(), scores={"heat": HEAT})
    after = rules.compile(hot("warmth"), scores={"warmth": HEAT})
    state = rules.fold(before, rules.empty(), [happened(0, "A", 0)])
    assert rules.scores(after, state, START) == {"warmth": 100}
    assert after.evidence.keys() == before.evidence.keys()


def test_a_segment_whose_score_changes_is_another_definition() -> None:
    other = rules.compile(hot(), scores={"heat": {**HEAT, "bounds": [0, 40]}})
    assert rules.compile(hot(), scores={"heat": HEAT}).segments != other.segments


@pytest.mark.parametrize(
    ("score", "path", "message"),
    [
        ({"events": HEAT["events"]}, "scores.heat", "expected exactly one of half_life within"),
        ({**HEAT, "within": "7d"}, "scores.heat", "expected exactly one of half_life within"),
        ({**HEAT, "half_life": "1y"}, "scores.heat.half_life", "expected a duration"),
        ({**HEAT, "bounds": [10, 0]}, "scores.heat.bounds", "expected the lower one first"),
        ({**HEAT, "bounds": [10]}, "scores.heat.bounds", "expected at least 2 of them"),
        ({**HEAT, "events": []}, "scores.heat.events", "expected at least 1 of them"),
        ({**HEAT, "events": [{"did": "A"}]}, "scores.heat.events[0].points", "expected this part, found nothing"),
        ({**HEAT, "events": [{"did": "A", "points": 0}]}, "scores.heat.events[0].points", "points other than 0"),
        ({**HEAT, "events": [{"did": "A", "points": "5"}]}, "scores.heat.events[0].points", "found '5'"),
        ({**HEAT, "decay": 1}, "scores.heat.decay", "expected no such part"),
    ],
)
def test_a_broken_score_is_refused_with_the_path_to_its_part(score: object, path: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        rules.compile(hot(), scores={"heat": score})
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("when", "path", "message"),
    [
        (
            {"score": "lost", "is": {"ge": 1}},
            "segments.hot.when.score",
            "expected a score of this catalogue, found 'lost'",
        ),
        ({"score": "heat", "is": {"ge": {"ref": "n"}}}, "segments.hot.when.is.ge", "expected a value that is no ref"),
        ({"score": "heat"}, "segments.hot.when.is", "expected this part, found nothing"),
    ],
)
def test_a_broken_condition_on_a_score_is_refused(when: object, path: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        rules.compile({"hot": {"name": "Hot", "when": when}}, scores={"heat": HEAT})
    assert refused.value.path == path
