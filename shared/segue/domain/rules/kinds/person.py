"""`list`, `consent`, `sample` and `geo`: what is said of the visitor rather than of what they did."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from segue.domain.bucket import BUCKETS, bucket
from segue.domain.event import Event, Json
from segue.domain.rules.evidence import Entry, Seen, as_seen, content_key, order, over_time
from segue.domain.rules.finding import Finding
from segue.domain.rules.intervals import FOREVER, Spans, union
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.model import Model, Refused, Text
from segue.domain.rules.operators import is_number, text
from segue.domain.rules.wording import quoted

CONSENT_CHANGED = "Segment Consent Preference Updated"
EARTH_RADIUS_KM = 6_371.008_8

PLACES = ("country", "region", "city")


class InList(Model):
    """On a static list of this catalogue, today."""

    list: str


class ConsentTo(Model):
    """A purpose is granted; what was never said is not, unless `settings` has it in `granted_unsaid`."""

    consent: Text


class SampleOf(Model):
    percent: float = Field(gt=0, le=100)
    """The share of all visitors."""
    seed: str = Field(min_length=1, max_length=200)
    """Another one chooses others."""


class Sample(Model):
    """A stable share of the visitors: `{sample: {percent: 10, seed: spring}}`, the same as GrowthBook's."""

    sample: SampleOf


class Near(Model):
    """At most so many kilometres from a point."""

    lat: float = Field(ge=-90, le=90)
    """Degrees north."""
    lon: float = Field(ge=-180, le=180)
    """Degrees east."""
    km: float = Field(gt=0, allow_inf_nan=False)
    """Kilometres."""


Names = Annotated[
    list[Text],
    Field(min_length=1),
    BeforeValidator(lambda v: [v] if isinstance(v, str) else v, json_schema_input_type=Text | list[Text]),
]


class GeoOf(Model):
    """Every respect that is named has to hold."""

    country: Names | None = None
    """One of these countries, as `context.location.country` writes them."""
    region: Names | None = None
    """One of these regions."""
    city: Names | None = None
    """One of these cities."""
    near: Near | None = None
    """Not far from a point."""

    @model_validator(mode="after")
    def _says_something(self) -> "GeoOf":
        if not any((self.country, self.region, self.city, self.near)):
            raise Refused("expected some of country region city near")
        return self


class Geo(Model):
    """The place of the newest event that names one: `{geo: {country: [FR, BE]}}`."""

    geo: GeoOf


def compile_list(definition: InList, measurements: Measurements) -> Node:
    """Today's list, also looking back, from the event on that tells the identifier. Raises Invalid if there is none."""
    members = measurements.members_of(definition.list)
    key = measurements.taken("identifiers", None, identifiers, "distinct")

    def spans(view: View) -> Spans:
        told = [entry[1] for entry in view.entries(key) if entry[3] in members]
        return [(max(view.start, min(told)), FOREVER)] if told else []

    def describe(view: View) -> Finding:
        listed = [entry for entry in view.entries(key) if entry[3] in members]
        found = "some identifier is" if listed else "no identifier is"
        return Finding(says=f"on the list `{definition.list}`", found=found, figure=bool(listed), counted={key: listed})

    return leaf(content_key(["list", definition.list]), spans, {key: None}, describe=describe)


def compile_consent(definition: ConsentTo, measurements: Measurements) -> Node:
    return consent(definition.consent, measurements)


def consent(purpose: str, measurements: Measurements) -> Node:
    """When a purpose is granted: the newest change wins; unsaid is what the catalogue says of the purpose."""
    unsaid = purpose in measurements.granted_unsaid
    key = measurements.taken(f"consent:{purpose}", CONSENT_CHANGED, lambda event: consent_changes(event, purpose))

    def describe(view: View) -> Finding:
        newest, said = _newest(view, key)
        found = {None: "nothing was said", True: "it was granted", False: "it was refused"}[said]
        return Finding(says=f"consent to `{purpose}`", found=found, figure=said, counted={key: newest})

    return leaf(
        content_key(["consent", purpose, unsaid]),
        lambda view: _newest_spans(view, key, lambda said: unsaid if said is None else said is True),
        {key: None},
        describe=describe,
    )


def compile_sample(definition: Sample, measurements: Measurements) -> Node:
    """A stable share of the visitors, the same as any GrowthBook SDK's with hash version 2."""
    part = definition.sample
    buckets = Fraction(repr(part.percent)) / 100 * BUCKETS  # the decimal as written
    anonymous = measurements.taken("anonymous_id", None, lambda event: _known(event, event.anonymous_id), "oldest")
    user = measurements.taken("user_id", None, lambda event: _known(event, event.user_id), "oldest")

    def chosen(value: str) -> bool:
        return bucket(part.seed, value) < buckets

    def spans(view: View) -> Spans:
        def truth(seen: Seen) -> Spans:
            first = _first(filter(seen, view.entries(anonymous)))
            known = _first(filter(seen, view.entries(user)))
            since = FOREVER if first is None else first[0]
            ids = [(since, FOREVER, first)] + ([] if known is None else [(min(known[0], since), since, known)])
            return union((a, b) for a, b, entry in ids if entry is not None and chosen(entry[3][2]))

        return as_seen([*view.entries(anonymous), *view.entries(user)], view.start, truth)

    def describe(view: View) -> Finding:
        entry = _first(view.entries(anonymous)) or _first(view.entries(user))
        drawn = None if entry is None else bucket(part.seed, entry[3][2]) * 100 / BUCKETS
        return Finding(
            says=f"in the {part.percent:g} % of visitors drawn with `{part.seed}`",
            found="no identifier is known" if drawn is None else f"drawn {drawn:.2f} %",
            figure=drawn,
            wanted={"lt": part.percent},
        )

    content = content_key(["sample", part.percent, part.seed])
    return leaf(content, spans, {anonymous: None, user: None}, describe=describe)


def compile_geo(definition: Geo, measurements: Measurements) -> Node:
    part = definition.geo
    key = measurements.taken("location", None, location)
    names = [f"{name} {' or '.join(map(quoted, named))}" for name in PLACES if (named := getattr(part, name))]
    if part.near is not None:
        names.append(f"within {part.near.km:g} km of {part.near.lat:g}, {part.near.lon:g}")

    def describe(view: View) -> Finding:
        newest, place = _newest(view, key)
        says = f"in {' and '.join(names)}"
        return Finding(
            says=says, found=quoted(place) if place else "no place is known", figure=place, counted={key: newest}
        )

    return leaf(
        content_key(["geo", part.model_dump()]),
        lambda view: _newest_spans(view, key, lambda found: isinstance(found, dict) and is_there(part, found)),
        {key: None},
        describe=describe,
    )


def _newest(view: View, key: str) -> tuple[Sequence[Entry], Any]:
    """What was said last, None for nothing yet, and the entry that says so."""
    entries = sorted(view.entries(key), key=order)[-1:]
    return entries, entries[0][3][2] if entries else None


def _newest_spans(view: View, key: str, holds: Callable[[Json], bool]) -> Spans:
    """When what was said last, None for nothing yet, is as it should be."""
    entries = view.entries(key)

    def truth(seen: Seen) -> Spans:
        history = over_time(filter(seen, entries))
        before = [(view.start, history[0][0] if history else FOREVER, None)]
        return union((since, until) for since, until, said in [*before, *history] if since < until and holds(said))

    return as_seen(entries, view.start, truth)


def _first(entries: Iterable[Entry]) -> Entry | None:
    return min(entries, key=order, default=None)


def _known(event: Event, value: Json) -> list[Any]:
    return [] if value is None else [(event.received_at, event.message_id, value)]


def identifiers(event: Event) -> list[Any]:
    """The visitor's identifiers that an event carries, as `user_id:42`."""
    named = (("user_id", event.user_id), ("anonymous_id", event.anonymous_id))
    return [f"{kind}:{value}" for kind, value in named if value is not None]


def consent_changes(event: Event, purpose: str) -> list[Any]:
    """What an event that tells of consent says of a purpose: nothing said of any is a refusal of all."""
    said = event.context.get("consent")
    preferences = said.get("categoryPreferences") if isinstance(said, dict) else None
    if not isinstance(preferences, dict):
        return []
    if not preferences:
        return _known(event, False)
    return _known(event, preferences[purpose] is True) if purpose in preferences else []


def location(event: Event) -> list[Any]:
    """Where an event says the visitor was: the parts of `context.location` that conditions ask for."""
    found = event.context.get("location")
    if not isinstance(found, dict):
        return []
    parts = {name: found[name] for name in ("country", "region", "city", "latitude", "longitude") if name in found}
    return _known(event, parts)


def is_there(part: GeoOf, found: Mapping[str, Json]) -> bool:
    """Whether a location is in one of the places named, in every respect that is named."""
    for name in PLACES:
        names = getattr(part, name)
        value = found.get(name)
        if names and not (isinstance(value, str) and text(value) in names):
            return False
    return part.near is None or distance_km(part.near, found) <= part.near.km


def distance_km(near: Near, found: Mapping[str, Json]) -> float:
    """The great-circle distance by the haversine formula; infinite from nowhere."""
    latitude, longitude = found.get("latitude"), found.get("longitude")
    if latitude is None or longitude is None or not (is_number(latitude) and is_number(longitude)):
        return math.inf
    ours, theirs = math.radians(near.lat), math.radians(latitude)
    across = math.radians(longitude - near.lon)
    chord = math.sin((theirs - ours) / 2) ** 2 + math.cos(ours) * math.cos(theirs) * math.sin(across / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))
