"""Conditions as people write them: a good one of each kind, and the mistakes that are made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segue.domain.rules.kinds.aggregate import FIGURE_FUNCTIONS

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
    "session": {"session": "this.distinct.category", "of": "A", "where": {"x": {"gt": 5}}, "is": {"ge": 2}},
    "cluster": {"cluster": {"model": "shoppers", "is": "small", "max_distance": 2.5}},
    "score": {"score": "engagement", "is": {"ge": 5}},
    "geo": {"geo": {"country": ["FR"], "region": "IDF", "city": ["Paris"], "near": {"lat": 1, "lon": 2, "km": 5}}},
}
"""One condition of each kind, with every field it may have."""

GOOD_SCORES: Mapping[str, dict[str, Any]] = {
    "half_life": {
        "name": "Engagement",
        "description": "How much of late",
        "events": [{"did": "A", "where": {"x": {"gt": 5}}, "points": 2}, {"did": "B", "points": -0.5}],
        "half_life": "7d",
        "bounds": [0, 100],
    },
    "within": {"events": [{"did": "A", "points": 2}], "within": "30d"},
}
"""Scores with every field that one may have."""

GOOD_COMPUTED: Mapping[str, dict[str, Any]] = {
    "count": {"count": "A", "where": {"x": {"gt": 5}}, "within": "30d"},
    "rate": {"rate": "A", "where": {"x": {"gt": 5}}, "per": "1d", "within": "30d"},
    "time_since_last": {"time_since_last": "A", "where": {"x": {"gt": 5}}, "since": "2026-01-01"},
    "streak": {"streak": "A", "where": {"x": {"gt": 5}}, "period": "day", "tz": "UTC"},
    "most_frequent": {"most_frequent": "k", "of": "A", "where": {"x": {"gt": 5}}, "ago": ["30d", "7d"]},
    "unique_list": {"unique_list": "k", "of": "A", "where": {"x": {"gt": 5}}, "last": 3, "within": "30d"},
    "tally": {"tally": "k", "of": "A", "where": {"x": {"gt": 5}}, "calendar": {"period": "week", "tz": "UTC"}},
    **{figure: {figure: "n", "of": "A", "where": {"x": {"gt": 5}}, "within": "30d"} for figure in FIGURE_FUNCTIONS},
}
"""A computed trait of each form, with every field it may have."""

GOOD_MODELS: Mapping[str, dict[str, Any]] = {
    "shoppers": {
        "name": "Shoppers",
        "description": "By what they spend",
        "features": {"orders": {"mean": 2, "scale": 2.5}, "spent": {"mean": 100, "scale": 50}},
        "centroids": {"small": {"orders": -1, "spent": -2}, "large": {"orders": 1, "spent": 1}},
    }
}
"""A model with every field that one may have."""

MISTAKES: Sequence[tuple[Any, str, str]] = [
    (row["when"], row["path"], row["says"])
    for row in json.loads((Path(__file__).parent / "cases" / "refusals.json").read_text(encoding="utf-8"))["rows"]
]
"""A condition, the path to what is wrong with it, and how the message about it begins."""
