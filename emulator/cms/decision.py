"""What fills a personalised block: the first that fits, as its form reads from top to bottom."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from emulator.cms.asked import Told


class Variant(NamedTuple):
    """Content for whoever is in one of these segments."""

    segments: Sequence[str]
    content: Mapping[str, Any]


class Shown(NamedTuple):
    """What a visitor sees. `variant` names it, `segment` is the one it was chosen for, `tells` what the page owes."""

    content: Mapping[str, Any]
    variant: str
    segment: str | None = None
    tells: Sequence[tuple[str, Mapping[str, str]]] = ()

    @property
    def tells_json(self) -> str:
        """As the page's script reads it."""
        return json.dumps(self.tells)


def shown(variants: Sequence[Variant], default: Mapping[str, Any], told: Told) -> Shown:
    """The first variant with a segment that holds; else what the slot has for the visitor; else the default.

    Where it is not known whether an earlier variant fits, nothing later is chosen: "don't know" is not "no".
    """
    usual = Shown(default, "default")
    for variant in variants:
        for segment in variant.segments:
            holds = told.segments.get(segment)
            if holds is None:
                return usual
            if holds:
                return Shown(variant.content, f"for-{segment}", segment)
    if told.filling is None:
        return usual
    content = {**default, **_words(told.filling.content, default)}
    return Shown(content, told.filling.variant, tells=told.filling.tells)


def _words(content: Mapping[str, Any], default: Mapping[str, Any]) -> Mapping[str, str]:
    """Of a slot's content what the block can show: its own fields, where they are filled with words."""
    return {name: words for name, words in content.items() if name in default and isinstance(words, str) and words}
