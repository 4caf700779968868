"""The catalogue: the sources, segments, slots, destinations and settings that an operator defines, as one value."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from segue.domain import experiment, rules
from segue.domain import slot as slots
from segue.domain.decision import Place, Terms, place
from segue.domain.destination import Destination
from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.experiment import Experiment, Holdout
from segue.domain.part import (
    KEY_HASH,
    MEANINGS,
    Id,
    KeyHash,
    Member,
    Name,
    Origin,
    Part,
    Problem,
    SecretName,
    Text,
    written,
)
from segue.domain.rules.definition import Segment
from segue.domain.rules.kinds.cluster import ClusterModel
from segue.domain.rules.kinds.score import Score
from segue.domain.rules.model import Duration
from segue.domain.rules.traits import Computed
from segue.domain.slot import Slot
from segue.domain.time import DAY, HOUR, MINUTE, SECOND

LIVE_KEYS = 2
"""A source has at most two keys of each kind: the one in use and the one that replaces it."""


Keys: TypeAlias = Annotated[tuple[KeyHash, ...], Field(strict=False, max_length=LIVE_KEYS)]


class _ShownAs:
    """As an annotation: in the JSON Schema, a value looks like this model, though it is kept as written."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self.model.__pydantic_core_schema__)


class Rate(Part):
    """How many requests a source may send: `per_second` on average, `burst` at once."""

    per_second: Annotated[int, Field(ge=1)]
    """Requests a second, on average."""
    burst: Annotated[int, Field(ge=1)]
    """Requests at once."""


class Source(Part):
    """Where events come from: a site, an app, a server. Keys are stored as the SHA-256 of their UTF-8 text, in hex."""

    name: Text
    """What people call it."""
    description: Text | None = None
    """For people, too."""
    write_keys: Keys = ()
    """Public: they may only append."""
    secret_keys: Keys = ()
    """They read, and import."""
    origins: Annotated[tuple[Origin, ...], Field(strict=False)] = ()
    """The sites whose pages may send with the write key."""
    identity: Literal["trusted", "verified"] = "verified"
    """Whose word for a user id is believed: the sender's own (`trusted`: a server's, a demo's), or only that of a token
    which the site's backend signed (`verified`), for in the name of a public site anybody can send any."""
    identity_secrets: Annotated[tuple[SecretName, ...], Field(strict=False, max_length=LIVE_KEYS)] = ()
    """The names of the secrets that the site's backend signs identity tokens with; two while one replaces the other."""
    keeps_contact_details: bool = False
    """E-mail addresses and telephone numbers are kept as they are sent; otherwise as their SHA-256, in hex."""
    bots: Literal["keep", "exclude"] = "exclude"
    """Whether bots can be members of segments; in the archive and in the ledger they are anyhow."""
    rate: Rate | None = None
    """What is sent with the write key in all; no limit if left out."""
    client_rate: Rate | None = None
    """What a single address sends with the write key; no limit if left out."""


class StaticList(Part):
    """A list of visitors, each as `user_id:42` or `anonymous_id:x`, for the condition `list`."""

    name: Text | None = None
    """What people call it."""
    description: Text | None = None
    """For people, too."""
    members: Annotated[tuple[Member, ...], Field(strict=False)]
    """Each as `user_id:42` or `anonymous_id:x`."""


ConsentMode: TypeAlias = Literal[
    "ad_storage",
    "analytics_storage",
    "ad_user_data",
    "ad_personalization",
    "functionality_storage",
    "personalization_storage",
    "security_storage",
]
"""The signals of Google's Consent Mode, version 2."""


class Purpose(Part):
    """What data may be used for, and what the consent signals of other systems say of it.

    Where several categories, ids, signals or numbers are named, all of them have to be granted. A category or an id by
    the purpose's own name speaks for it by itself.
    """

    description: Text | None = None
    """For people."""
    categories: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Segment's `categoryPreferences`."""
    consent_ids: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """RudderStack's `consentManagement`."""
    consent_mode: Annotated[tuple[ConsentMode, ...], Field(strict=False)] = ()
    """Google's Consent Mode, as `context.consent.consentMode`."""
    tcf: Annotated[tuple[Annotated[int, Field(ge=1, le=11)], ...], Field(strict=False)] = ()
    """IAB TCF purposes by number, as `context.consent.tcf`, the object that `__tcfapi` hands over."""
    gpc: bool = False
    """A browser that says `Sec-GPC: 1` refuses it."""


class Consent(Part):
    """The purposes that visitors consent to, and what is not done without."""

    purposes: dict[Name, Purpose] = {}
    """What data is used for."""
    collect: Name | None = None
    """The purpose without which nothing a visitor does is stored; an event that says nothing of it is."""


class Settings(Part):
    """What holds for the whole catalogue."""

    lateness: Annotated[Duration, Field(json_schema_extra={"default": "1h"})] = HOUR
    """How late an event may come and still leave a memory of when it happened."""
    max_age: Annotated[Duration, Field(json_schema_extra={"default": "30d"})] = 30 * DAY
    """How old an event may be when it comes; older ones are archived only."""
    grace: Annotated[Duration, Field(json_schema_extra={"default": "10s"})] = 10 * SECOND
    """How long announcements wait for stragglers."""
    session_gap: Annotated[Duration, Field(json_schema_extra={"default": "30m"})] = 30 * MINUTE
    """How long nothing happens once a session is over."""
    granted_unsaid: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """The purposes that count as granted until a visitor has said something of them."""


class Catalog(Part):
    """One version of everything an operator defines. Segments, scores, computed traits and models are kept as
    written: the rules compile them.

    Its JSON Schema, for editors, has the whole language of conditions.
    """

    sources: dict[Id, Source] = {}
    """Where events come from, and who may read."""
    segments: dict[Id, Annotated[dict[str, Any], _ShownAs(Segment)]] = {}
    """Who is who, at any moment."""
    scores: dict[Name, Annotated[dict[str, Any], _ShownAs(Score)]] = {}
    """Points for events, which fade or leave a window, for the condition `score`."""
    computed: dict[Name, Annotated[dict[str, Any], _ShownAs(Computed)]] = {}
    """Traits that follow from what was done, for the condition `trait`."""
    models: dict[Name, Annotated[dict[str, Any], _ShownAs(ClusterModel)]] = {}
    """Points among visitors, for the condition `cluster`."""
    slots: dict[Id, Slot] = {}
    """The places on a page, and what fills them for whom."""
    experiments: dict[Id, Experiment] = {}
    """What is tried out on a share of the visitors, each of whom always gets the same arm."""
    holdouts: dict[Id, Holdout] = {}
    """Shares of the visitors that no experiment touches."""
    destinations: dict[Id, Destination] = {}
    """Who is told of segments: when somebody enters or leaves, or all members as files."""
    lists: dict[Id, StaticList] = {}
    """Visitors by name, for the condition `list`."""
    consent: Consent = Consent()
    """The purposes that visitors consent to."""
    settings: Settings = Settings()
    """What holds for the whole catalogue."""

    def program(self) -> rules.Program:
        """The compiled segments, those without a name included that slots and experiments need, and what content is
        bound to.

        Raises `Invalid` with the path of the part that is wrong.
        """
        try:
            return self._compiled()
        except Invalid as error:
            path = slots.as_written(experiment.as_written(error.path, self.experiments), self.slots)
            raise Invalid(error.message, path) from error

    def _compiled(self) -> rules.Program:
        return rules.compile(
            {**self.segments, **slots.conditions(self.slots), **experiment.conditions(self.experiments)},
            told={path.split(".")[0] for origin, path in slots.bound(self.slots) if origin == "trait"},
            scores=self.scores,
            computed=self.computed,
            models=self.models,
            lists={id_: list_.members for id_, list_ in self.lists.items()},
            granted_unsaid=self.settings.granted_unsaid,
            session_gap=self.settings.session_gap,
            lateness=self.settings.lateness,
            max_age=self.settings.max_age,
        )

    @property
    def origins(self) -> frozenset[str]:
        """The sites of all sources."""
        return frozenset(origin for source in self.sources.values() for origin in source.origins)

    def is_public(self, segment: str) -> bool:
        """Whether visitors' own browsers may read if they are in it."""
        return self.segments[segment].get("public", False) is True

    def places(self) -> Mapping[str, Place]:
        """The slots, made ready for decisions."""
        terms = Terms(experiments=self.experiments, holdouts=self.holdouts, granted_unsaid=self.settings.granted_unsaid)
        return {id_: place(id_, slot, terms) for id_, slot in self.slots.items()}

    def source_of_write_key(self, key: str) -> tuple[str, Source] | None:
        """The source's id and the source that this write key belongs to."""
        return _owner(key, ((id_, source, source.write_keys) for id_, source in self.sources.items()))

    def source_of_secret_key(self, key: str) -> tuple[str, Source] | None:
        """The source's id and the source that this secret key belongs to."""
        return _owner(key, ((id_, source, source.secret_keys) for id_, source in self.sources.items()))


_EXPECTED = {
    "missing": "expected a value, found nothing",
    "extra_forbidden": "expected no such field",
    "too_long": f"expected at most {LIVE_KEYS} keys, found more",
    "too_short": "expected at least one item",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "tuple_type": "expected a list",
    "string_type": "expected text",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
}
"""What is said for the kinds of pydantic's errors that it words for programmers; the rest keep its words."""

_COMPLETE = {"missing", "extra_forbidden", "too_long", "value_error"}
"""Kinds whose message says already what was found."""


def key_hash(key: str) -> str:
    """How the catalogue stores a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def parse(documents: Mapping[str, Json]) -> Catalog:
    """The catalogue of these documents (a mapping of sections); raises `Invalid` for the first of its problems.

    Segments are only known to be mappings afterwards: `rules.compile` checks what they say.
    """
    catalog = read(documents)
    for problem in _mistakes(catalog):
        raise Invalid(problem.message, problem.path)
    return catalog


def read(documents: Mapping[str, Json]) -> Catalog:
    """The catalogue of documents that `parse` has let through before, as published ones are: only their form is looked
    at again, which newer code may have changed. Raises `Invalid`."""
    try:
        return Catalog.model_validate(documents)
    except ValidationError as error:
        problem = _problem(error.errors(include_url=False)[0])
        raise Invalid(problem.message, problem.path) from None


def problems(documents: Mapping[str, Json]) -> Sequence[Problem]:
    """Everything that is wrong with these documents, but for what the segments say."""
    try:
        return [*_mistakes(Catalog.model_validate(documents))]
    except ValidationError as error:
        return [_problem(detail) for detail in error.errors(include_url=False)]


def _mistakes(catalog: Catalog) -> Iterator[Problem]:
    """What is wrong with a catalogue whose form is right."""
    yield from _unknown_segments(catalog)
    yield from _unknown_purposes(catalog)
    for id_, found in catalog.experiments.items():
        yield from experiment.problems(id_, found)
    yield from _mistaken_slots(catalog)
    yield from _shared_keys(catalog)
    yield from _shared_places(catalog)


def _owner(key: str, sources: Iterable[tuple[str, Source, Keys]]) -> tuple[str, Source] | None:
    """Every stored hash is compared, each in constant time, so that the time taken tells nothing of any key."""
    wanted = key_hash(key)
    owners = [
        (id_, source) for id_, source, hashes in sources for hash_ in hashes if hmac.compare_digest(hash_, wanted)
    ]
    return owners[0] if owners else None


def _problem(detail: ErrorDetails) -> Problem:
    kind, location, found = detail["type"], detail["loc"], _shown(detail["input"])
    if location and location[-1] == "[key]":
        return Problem(written(location[:-1]), f"expected {MEANINGS[detail['ctx']['pattern']]}")
    if kind in _COMPLETE:
        return Problem(written(location), _EXPECTED.get(kind, detail["msg"].removeprefix("Value error, ")))
    if kind == "string_pattern_mismatch":
        pattern = detail["ctx"]["pattern"]
        found = "another text" if pattern == KEY_HASH else found  # it may be the key itself
        return Problem(written(location), f"expected {MEANINGS[pattern]}, found {found}")
    expected = _EXPECTED.get(
        kind, detail["msg"].replace("Input should", "expected to").replace("String should", "expected to")
    )
    return Problem(written(location), f"{expected}, found {found}")


def _shown(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _unknown_segments(catalog: Catalog) -> Iterator[Problem]:
    named = [
        *(
            (("experiments", id_, "segment"), found.segment)
            for id_, found in catalog.experiments.items()
            if found.segment is not None
        ),
        *(
            (("destinations", id_, "segments", index), segment)
            for id_, destination in catalog.destinations.items()
            for index, segment in enumerate(destination.segments or ())
        ),
    ]
    for path, segment in named:
        if segment not in catalog.segments:
            yield Problem(written(path), f"expected a segment of this catalogue, found {segment!r}")


def _unknown_purposes(catalog: Catalog) -> Iterator[Problem]:
    """Where purposes are declared, others are misspelt."""
    named = [
        (("consent", "collect"), catalog.consent.collect),
        *((("settings", "granted_unsaid", index), name) for index, name in enumerate(catalog.settings.granted_unsaid)),
        *(
            (("segments", id_, "purposes", index), name)
            for id_, segment in catalog.segments.items()
            for index, name in enumerate(_listed(segment.get("purposes")))
        ),
        *(
            (("destinations", id_, "storage", "purposes", index), name)
            for id_, destination in catalog.destinations.items()
            for index, name in enumerate(destination.storage.purposes if destination.storage else ())
        ),
        *(
            (("slots", id_, "purposes", index), name)
            for id_, slot in catalog.slots.items()
            for index, name in enumerate(slot.purposes or ())
        ),
    ]
    for path, name in named:
        if name is not None and catalog.consent != Consent() and name not in catalog.consent.purposes:
            yield Problem(written(path), f"expected a purpose of consent.purposes, found {_shown(name)}")


def _listed(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else ()


def _mistaken_slots(catalog: Catalog) -> Iterator[Problem]:
    arms = {id_: [arm.id for arm in found.arms] for id_, found in catalog.experiments.items()}
    known = slots.Known(catalog.segments, catalog.scores, catalog.computed, arms)
    return slots.problems(catalog.slots, known)


def _shared_places(catalog: Catalog) -> Iterator[Problem]:
    """A folder has one manifest, and so one destination that writes it."""
    taken: dict[str, str] = {}
    for id_, destination in catalog.destinations.items():
        if destination.storage:
            place = destination.storage.model_dump_json(include={"provider", "endpoint", "bucket", "prefix"})
            other = taken.setdefault(place, id_)
            if other != id_:
                path = written(("destinations", id_, "storage", "prefix"))
                yield Problem(path, f"expected another one than that of {other!r}, which has the same bucket")


def _shared_keys(catalog: Catalog) -> Iterator[Problem]:
    keys = [
        (("sources", id_, field, index), hash_)
        for id_, source in catalog.sources.items()
        for field, hashes in (("write_keys", source.write_keys), ("secret_keys", source.secret_keys))
        for index, hash_ in enumerate(hashes)
    ]
    uses = Counter(hash_ for _, hash_ in keys)
    for path, hash_ in keys:
        if uses[hash_] > 1:
            yield Problem(written(path), "expected a key that is used once, found it in several places")
