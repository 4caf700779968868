"""What a definition may cost is bounded when it is published: in work, in size, and in what a message says of it."""

import tracemalloc
from typing import Any

import pytest

from segue.domain import rules
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.rules.evidence import MOST_ENTRIES
from segue.domain.rules.fold import LARGEST_STATE
from segue.domain.rules.program import MOST_REFERRED
from segue.domain.time import DAY, MINUTE

START = 1_700_000_000_000


def named(**conditions: Any) -> dict[str, dict[str, Any]]:
    return {name: {"name": name, "when": condition} for name, condition in conditions.items()}


def refused(segments: dict[str, dict[str, Any]]) -> Invalid:
    with pytest.raises(Invalid) as raised:
        rules.compile(segments)
    return raised.value


def event(number: int, at: int, **properties: Any) -> Event:
    return Event(message_id=f"m{number}", name="A", occurred_at=at, received_at=at, properties=properties)


def chain(length: int, last: dict[str, Any]) -> dict[str, dict[str, Any]]:
    links = {f"s{number}": {"segment": f"s{number + 1}"} for number in range(length - 1)}
    return named(**links, **{f"s{length - 1}": last})


def test_a_circle_is_refused_with_some_of_its_names_however_long_it_is() -> None:
    short = refused(chain(3, {"segment": "s0"}))
    assert str(short) == (
        "segments.s0.when.segment: expected no segment that refers to itself, found s0 → s1 → s2 → s0"
    )
    long = refused(chain(10_000, {"segment": "s0"}))
    assert "s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → … → s0" in long.message
    assert len(str(long)) < 200


def test_what_an_event_may_make_us_look_at_is_bounded() -> None:
    assert len(rules.compile(chain(MOST_REFERRED + 1, {"did": "A"})).segments) == MOST_REFERRED + 1
    error = refused(chain(10_000, {"did": "A"}))
    assert error.message.startswith(f"expected at most {MOST_REFERRED} segments that it refers to, directly and")


def test_conditions_are_nested_to_a_depth_and_no_further() -> None:
    condition: dict[str, Any] = {"did": "A"}
    for _ in range(2_000):
        condition = {"not": condition}
    error = refused(named(deep=condition))
    assert error.message == "expected conditions nested at most 32 deep, found more"
    assert error.path.startswith("segments.deep.when.not.not")


def test_a_window_of_ten_years_costs_no_more_state_than_a_short_one() -> None:
    """The latest three instants decide it, however many events there were."""
    program = rules.compile(named(long={"did": "A", "count": {"ge": 3}, "within": "3650d"}))
    assert len(program.evidence) == 1
    state = rules.fold(program, rules.empty(), [event(number, START + number * DAY) for number in range(500)])
    assert sum(map(len, state.streams.values())) == 3
    since, until = rules.timeline(program, state, state.instant).memberships["long"][0]
    assert (since, until) == (START + 2 * DAY, START + (497 + 3650) * DAY)


def test_the_longest_memory_keeps_an_instant_not_the_events() -> None:
    program = rules.compile({"long": {"name": "Long", "when": {"did": "A", "within": "1m"}, "stays": "36500d"}})
    state = rules.fold(program, rules.empty(), [event(number, START + number * DAY) for number in range(500)])
    assert sum(map(len, state.streams.values())) <= 1
    assert rules.timeline(program, state, state.instant).memberships["long"][0][1] == (
        START + 499 * DAY + MINUTE + 36_500 * DAY
    )
    assert len(rules.canonical(state)) < 200


def test_a_pattern_that_makes_others_backtrack_is_answered_in_time_with_its_text() -> None:
    """A backtracking engine would try 2 to the power of the text's length: it would not return."""
    program = rules.compile(named(slow={"did": "A", "where": {"text": {"matches": "^(a+)+$"}}}))
    events = [event(1, START, text="a" * 30_000 + "b"), event(2, START + 1, text="aa")]
    state = rules.fold(program, rules.empty(), events)
    assert rules.timeline(program, state, START + 1).memberships["slow"] == ((START + 1, None),)


@pytest.mark.parametrize("pattern", ["((a{1000}){1000}){1000}", "(((((a{9}){9}){9}){9}){9}){9}", r"(a)\1", "(?=a)"])
def test_a_pattern_that_would_be_large_or_could_not_be_linear_is_refused(pattern: str) -> None:
    error = refused(named(large={"did": "A", "where": {"text": {"matches": pattern}}}))
    assert error.path == "segments.large.when.where.text.matches"
    assert error.message.startswith("expected an RE2 pattern, found ")


def different(count: int) -> dict[str, dict[str, Any]]:
    """So many rules of which no two measure the same but for what they have of B."""
    return named(**{f"s{number}": rule(number) for number in range(count)})


def rule(number: int) -> dict[str, Any]:
    mine = {"did": "A", "where": {"n": number}}
    sixth: list[dict[str, Any]] = [
        {**mine, "count": {"ge": 3}, "within": "10m"},
        {"aggregate": {"of": "A", "where": mine["where"], "sum": "revenue", "within": "30d", "is": {"ge": 200}}},
        {"together": {"within": "10m", "of": [mine, {"did": "B"}]}},
        {"absent": {"after": mine, "without": "B", "for": "30m"}},
        {"sequence": {"within": "1h", "steps": [mine, {"did": "B"}]}},
        {"did": "A", "where": {"url": {"matches": f"^/products/{number}/"}}, "within": "7d"},
    ]
    return sixth[number % 6]


@pytest.mark.slow
def test_ten_thousand_different_rules_take_a_measurement_each_and_one_that_they_share() -> None:
    program = rules.compile(different(10_000))
    assert (len(program.order), len(program.evidence)) == (10_000, 10_001)
    assert (len(program.by_event["A"]), len(program.by_event["B"])) == (10_000, 1)


def test_ten_thousand_rules_over_the_same_take_one_measurement() -> None:
    segments = named(**{f"s{number}": {"did": "A", "count": {"ge": number % 90 + 1}} for number in range(10_000)})
    [evidence] = rules.compile(segments).evidence.values()
    assert evidence.most == 90


def test_compiling_takes_memory_in_proportion_to_the_rules() -> None:
    """Twice the rules, twice the memory at most (and a tenth): nothing holds every pair of them."""

    def peak(count: int) -> int:
        segments = different(count)
        tracemalloc.start()
        rules.compile(segments)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(2_000) < 2.2 * peak(1_000)


def test_a_visitor_who_does_everything_at_once_stays_within_the_largest_state() -> None:
    counts = [{"did": "A", "where": {"n": {"ne": number}}, "count": {"ge": MOST_ENTRIES}} for number in range(80)]
    program = rules.compile(named(**{f"s{number}": count for number, count in enumerate(counts)}))
    state = rules.fold(program, rules.empty(), [event(number, START + number, n=-1) for number in range(MOST_ENTRIES)])
    assert len(rules.encode(state)) <= LARGEST_STATE
    assert rules.timeline(program, state, state.instant).approximate
