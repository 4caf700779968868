"""Conditions as people write them: a good one of each kind, and the mistakes that are made."""

from collections.abc import Mapping
from typing import Any

GOOD: Mapping[str, dict[str, Any]] = {
    "all": {"all": [{"did": "A"}, {"did": "B"}]},
    "any": {"any": [{"did": "A"}, {"did": "B"}]},
    "none": {"none": [{"did": "A"}]},
    "not": {"not": {"did": "A"}},
    "at_least": {"at_least": {"count": 1, "of": [{"did": "A"}, {"did": "B"}]}},
    "segment": {"segment": "other"},
    "trait": {"trait": "plan", "is": {"eq": "pro"}},
    "did": {"did": "A", "where": {"x": {"gt": 5}}, "count": {"ge": 2}, "per": "p", "within": "5m"},
    "aggregate": {
        "aggregate": {
            "of": "A",
            "sum": "x",
            "where": {"x": {"gt": 5}},
            "per": "p",
            "calendar": {"period": "day", "last": 2, "tz": "Europe/Paris"},
            "is": {"ge": 5},
        }
    },
    "together": {
        "together": {
            "within": "10m",
            "of": [
                {"did": "A", "where": {"x": {"gt": 5}}, "count": {"ge": 1}, "per": "p"},
                {"aggregate": {"of": "B", "distinct": "x", "is": {"gt": 3}}},
            ],
        }
    },
    "sequence": {
        "sequence": {
            "within": "1h",
            "same": ["x"],
            "without": {"did": "D", "where": {"x": {"gt": 5}}},
            "steps": [{"did": "A"}, {"did": "B", "where": {"x": {"gt": 5}}, "gap": "5m", "without": "C"}],
        }
    },
    "absent": {
        "absent": {
            "after": "A",
            "without": {"did": "B", "where": {"x": {"gt": 5}}},
            "for": "30m",
            "within": "7d",
            "same": {"a": "b"},
        }
    },
    "first_time": {"first_time": "A", "where": {"x": {"gt": 5}}, "since": "2026-01-01T00:00:00Z"},
    "compare": {
        "compare": {
            "left": {"did": "A", "where": {"x": {"gt": 5}}, "within": "5m"},
            "right": {"aggregate": {"of": "A", "sum": "x", "ago": ["30d", "7d"]}},
            "op": "gt",
            "factor": 2,
        }
    },
    "stopped": {"stopped": "A", "where": {"x": {"gt": 5}}, "earlier": "30d", "recent": "7d"},
    "restarted": {"restarted": "A", "where": {"x": {"gt": 5}}, "gap": "30d", "recent": "7d"},
    "regularly": {
        "regularly": "A",
        "where": {"x": {"gt": 5}},
        "times": 2,
        "in": 3,
        "last": 5,
        "period": "week",
        "tz": "Europe/Paris",
    },
    "time": {"time": {"from": "09:00", "until": "17:00", "days": ["mon"], "tz": "Europe/Paris"}},
    "date": {"date": "born", "is": {"anniversary": True, "tz": "Europe/Paris"}},
    "list": {"list": "vip"},
    "consent": {"consent": "ads"},
    "sample": {"sample": {"percent": 10, "seed": "x"}},
    "score": {"score": "engagement", "is": {"ge": 5}},
    "geo": {"geo": {"country": ["FR"], "region": "IDF", "city": ["Paris"], "near": {"lat": 1, "lon": 2, "km": 5}}},
}
"""One condition of each kind, with every field it may have."""

MISTAKES = [
    ({"didd": "A"}, "when", "expected a mapping with exactly one of all any none"),
    ({"did": "A", "first_time": "A"}, "when", "expected a mapping with exactly one of"),
    (
        {"did": "A", "within": "10 minutes"},
        "when.within",
        "expected a duration such as 10m or 24h (ms, s, m, h, d or w)",
    ),
    ({"did": "A", "within": "3 months"}, "when.within", "expected a duration"),
    ({"did": "A", "within": "0m"}, "when.within", "expected a duration"),
    ({"did": "A", "within": "36501d"}, "when.within", "expected a duration"),
    ({"did": "A", "within": None}, "when.within", "expected a value, found nothing"),
    ({"did": "A", "within": "1d", "since": "2026-01-01"}, "when", "expected at most one window of within, ago, since"),
    ({"did": "A", "ago": ["7d", "30d"]}, "when.ago", "expected [far, near] with far longer ago than near, found ['7d'"),
    ({"did": "A", "ago": ["7d", "7d"]}, "when.ago", "expected [far, near] with far longer ago than near"),
    ({"did": "A", "ago": "7d"}, "when.ago", "expected a list, found '7d'"),
    ({"did": "A", "since": "1 May"}, "when.since", "expected an ISO 8601 instant, found '1 May'"),
    ({"did": "A", "calendar": {"period": "day"}}, "when.calendar.tz", "expected this part, found nothing"),
    (
        {"did": "A", "calendar": {"period": "day", "tz": "Paris"}},
        "when.calendar.tz",
        "expected an IANA time zone such as Europe/Paris, found 'Paris'",
    ),
    ({"did": "A", "calendar": {"period": "year", "tz": "UTC"}}, "when.calendar.period", "expected 'day', 'week' or"),
    ({"did": "A", "count": 3}, "when.count", "expected one operator with its operand, found 3"),
    ({"did": "A", "count": {"gte": 3}}, "when.count.gte", "unknown operator; expected one of"),
    ({"did": "A", "count": {"ge": 1_001}}, "when.count.ge", "expected at most 1000, found 1001"),
    ({"did": "A", "count": {"ge": {"ref": "n"}}}, "when.count.ge", "expected a value that is no ref, found"),
    ({"did": "A", "count": {"contains": "1"}}, "when.count", "expected one of eq ne gt ge lt le between in not_in"),
    ({"did": "A", "where": {"x": {"gt": 1, "lt": 5}}}, "when.where.x", "expected exactly one operator, found ['gt'"),
    ({"did": "A", "where": {"x": None}}, "when.where.x", "expected a value, found nothing"),
    ({"did": "A", "where": {"x": {"in": []}}}, "when.where.x.in", "expected a list with at least one value, found []"),
    ({"did": "A", "where": {"x": {"in": "a"}}}, "when.where.x.in", "expected a list with at least one value"),
    ({"did": "A", "where": {"x": {"between": [5, 1]}}}, "when.where.x.between", "expected the lower end first, found"),
    ({"did": "A", "where": {"x": {"between": [1, "5"]}}}, "when.where.x.between", "expected two numbers or two texts"),
    ({"did": "A", "where": {"x": {"exists": False}}}, "when.where.x.exists", "expected true (say missing for"),
    ({"did": "A", "where": {"x": {"missing": False}}}, "when.where.x.missing", "expected true (say missing for"),
    ({"did": "A", "where": {"x": {"matches": "("}}}, "when.where.x.matches", "expected an RE2 pattern, found '('"),
    ({"did": "A", "where": {"x": {"matches": r"(a)\1"}}}, "when.where.x.matches", "expected an RE2 pattern, found"),
    ({"did": "A", "where": {"x": {"before": "soon"}}}, "when.where.x.before", "expected an ISO 8601 instant or epoch"),
    ({"did": "A", "where": {"x": {"semver_ge": "v1"}}}, "when.where.x.semver_ge", "expected a SemVer 2.0 version such"),
    ({"did": "A", "where": {"x": {"eq": 1, "ignore_case": 1}}}, "when.where.x.ignore_case", "expected true or false"),
    ({"did": "A", "where": {"x": {"any": {"y": {"gtt": 1}}}}}, "when.where.x.any.y.gtt", "unknown operator; expected"),
    (
        {"did": "A", "where": {"x": {"matches": {"ref": "y"}}}},
        "when.where.x.matches",
        "expected a value that is no ref",
    ),
    ({"trait": "x", "is": {"any": {"y": 1}}}, "when.is.any", "unknown operator; expected one of"),
    ({"aggregate": {"of": "A", "is": {"ge": 1}}}, "when.aggregate", "expected exactly one of sum avg min max distinct"),
    ({"aggregate": {"of": "A", "sum": "x", "avg": "x", "is": 1}}, "when.aggregate", "expected exactly one of sum avg"),
    ({"all": []}, "when.all", "expected at least 1 of them, found []"),
    ({"at_least": {"count": 2, "of": [{"did": "A"}]}}, "when.at_least.count", "expected at most 1, the number of"),
    (
        {"together": {"within": "5m", "of": [{"did": "A", "within": "1m"}]}},
        "when.together.of[0]",
        "expected no window of its own, for together gives it one, found {'did'",
    ),
    ({"together": {"within": "5m", "of": [{"trait": "x"}]}}, "when.together.of[0]", "expected a mapping with exactly"),
    (
        {"sequence": {"steps": [{"did": "A"}]}},
        "when.sequence.steps",
        "expected at least 2 of them, found [{'did'",
    ),
    (
        {"sequence": {"steps": [{"did": "A", "gap": "5m"}, {"did": "B"}]}},
        "when.sequence.steps[0].gap",
        "expected none on the first step, found '5m'",
    ),
    (
        {"absent": {"after": "A", "without": "B", "for": "7d", "within": "7d"}},
        "when.absent.for",
        "expected less than within, found '7d'",
    ),
    ({"stopped": "A", "earlier": "7d", "recent": "30d"}, "when.earlier", "expected longer ago than recent, found '7d'"),
    (
        {"regularly": "A", "in": 6, "last": 5, "period": "week", "tz": "UTC"},
        "when.in",
        "expected at most last, 5, found 6",
    ),
    ({"compare": {"left": {"did": "A"}, "right": {"did": "B"}, "op": ">"}}, "when.compare.op", "expected 'eq', 'ne',"),
    (
        {"compare": {"left": {"did": "A", "per": "x"}, "right": {"did": "B"}, "op": "gt"}},
        "when.compare.left.per",
        "expected no such part, found 'x'",
    ),
    ({"date": "x", "is": {"anniversary": True}}, "when.is.tz", "expected with anniversary, and only there, found"),
    ({"time": {"from": "9:00", "tz": "UTC"}}, "when.time.from", "expected a time of day such as 09:00, found '9:00'"),
    ({"sample": {"percent": 0, "seed": "x"}}, "when.sample.percent", "expected more than 0.0, found 0"),
    ({"geo": {}}, "when.geo", "expected some of country region city near, found {}"),
    ({"any": [{"did": "A"}, {"list": "vips"}]}, "when.any[1].list", "expected a list of this catalogue, found 'vips'"),
    ({"not": {"segment": "lost"}}, "when.not.segment", "expected a segment of this catalogue, found 'lost'"),
    ({"all": [{"segment": "it"}]}, "when.all[0].segment", "expected no segment that refers to itself, found it → it"),
]
"""A condition, the path to what is wrong with it, and how the message about it begins."""
