"""What calls say of consent: each signal, which of them decides, what is kept, and what counts as a change."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from segue.domain.call import Reading
from segue.domain.catalog import Catalog, parse
from segue.domain.consent import consented, said
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.profile import ProfileRef
from segue.domain.rules.kinds.person import CONSENT_CHANGED, consent_changes

POLICY: Mapping[str, Any] = {
    "purposes": {
        "analytics": {"categories": ["C1", "C2"], "consent_mode": ["analytics_storage"], "tcf": [1, 8]},
        "advertising": {"consent_ids": ["ads", "reach"], "consent_mode": ["ad_storage", "ad_user_data"], "gpc": True},
    },
    "collect": "analytics",
}
CONSENT = parse({"consent": POLICY}).consent


def event(name: str = "A", number: int = 1, **context: Any) -> Event:
    return Event(message_id=f"m{number}", name=name, occurred_at=5, received_at=7, anonymous_id="ada", context=context)


def segment(**preferences: Any) -> dict[str, Any]:
    return {"consent": {"categoryPreferences": preferences}}


def rudder(allowed: Sequence[str] = (), denied: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    return {"consentManagement": {"allowedConsentIds": [*allowed], "deniedConsentIds": [*denied], **more}}


def mode(**signals: str) -> dict[str, Any]:
    return {"consent": {"consentMode": signals}}


def tcf(*granted: int, refused: Sequence[int] = (), **more: Any) -> dict[str, Any]:
    consents = {str(each): True for each in granted} | {str(each): False for each in refused}
    return {"consent": {"tcf": {"purpose": {"consents": consents}, **more}}}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, {}),
        (segment(analytics=True), {"analytics": True}),
        (segment(analytics=False, C1=True, C2=True), {"analytics": False}),
        (segment(C1=True, C2=True), {"analytics": True}),
        (segment(C1=True, C2=False), {"analytics": False}),
        (segment(C1=True), {"analytics": False}),
        (segment(C1="yes", C2=1), {"analytics": False}),
        (segment(), {"analytics": False, "advertising": False}),
        (segment(C9=True), {}),
        ({"consent": {"categoryPreferences": ["C1"]}}, {}),
        ({"consent": "yes", "consentManagement": 3}, {}),
        (rudder(["ads", "reach"]), {"advertising": True}),
        (rudder(["ads"], ["reach"]), {"advertising": False}),
        (rudder(["ads"], ["reach"], resolutionStrategy="or"), {"advertising": True}),
        (rudder(["analytics"], ["advertising"]), {"analytics": True, "advertising": False}),
        (rudder(), {}),
        (rudder([], [3, None]), {}),  # type: ignore[list-item]
        (mode(analytics_storage="granted"), {"analytics": True}),
        (mode(analytics_storage="Granted"), {"analytics": False}),
        (mode(ad_storage="granted", ad_user_data="denied"), {"advertising": False}),
        (mode(ad_storage="granted"), {"advertising": False}),
        (tcf(1, 8), {"analytics": True}),
        (tcf(1, refused=[8]), {"analytics": False}),
        (tcf(1), {"analytics": False}),
        (tcf(1, refused=[8], gdprApplies=False), {}),
        (tcf(1, refused=[8], eventStatus="cmpuishown"), {}),
        (tcf(1, 8, eventStatus="useractioncomplete"), {"analytics": True}),
        (segment(analytics=True) | rudder([], ["analytics"]), {"analytics": False}),
    ],
)  # fmt: skip
def test_what_each_system_says_is_said_of_purposes(context: dict[str, Any], expected: dict[str, bool]) -> None:
    assert {name: each.granted for name, each in said(event(**context), CONSENT, gpc=False).items()} == expected


def test_the_browsers_signal_refuses_only_what_it_concerns_and_more_than_any_grant_grants() -> None:
    granted = segment(analytics=True, advertising=True)
    found = said(event(**granted), CONSENT, gpc=True)
    assert found == {"analytics": (True, "segment"), "advertising": (False, "gpc")}
    assert said(event(CONSENT_CHANGED, **granted), CONSENT, gpc=True)["advertising"] == (False, "gpc")


def test_an_explicit_withdrawal_is_named_before_the_browsers_signal_and_that_before_a_managers_word() -> None:
    refused = segment(advertising=False)
    assert said(event(CONSENT_CHANGED, **refused), CONSENT, gpc=True)["advertising"] == (False, "segment")
    assert said(event(**refused), CONSENT, gpc=True)["advertising"] == (False, "gpc")


def kept(*events: Event, gpc: bool = False) -> tuple[list[Event], int]:
    ada = ProfileRef("anonymous_id", "ada")
    readings = [Reading(profile=ada, event=each, warnings=("illegal_id",)) for each in events]
    found, withheld = consented(readings, CONSENT, gpc)
    return [each.event for each in found], withheld


def test_an_event_whose_own_signals_refuse_collecting_is_withheld_and_one_that_says_nothing_is_not() -> None:
    silent = event(number=2)
    assert kept(event(**segment(analytics=False)), silent) == ([silent], 1)


def test_a_withdrawal_within_a_request_withholds_what_comes_after_it_and_says_nothing_itself() -> None:
    change = Event(
        message_id="m2",
        name=CONSENT_CHANGED,
        occurred_at=5,
        received_at=7,
        anonymous_id="ada",
        properties={"page": "/cart"},
        context={"page": {"url": "/cart"}, "consent": {"categoryPreferences": {}, "version": "2026-05"}},
    )
    before, after, granted = event(), event(number=3), event(number=4, **segment(analytics=True))
    events, withheld = kept(before, change, after, granted)
    assert withheld == 1
    assert [each.message_id for each in events] == ["m1", "m2", "m4"]
    assert events[1].properties == {}
    assert events[1].context == {
        "consent": {
            "categoryPreferences": {"analytics": False, "advertising": False},
            "sources": {"analytics": "segment", "advertising": "segment"},
            "version": "2026-05",
        }
    }


def test_what_has_no_change_event_of_its_own_is_preceded_by_one_that_is_the_same_every_time() -> None:
    first, second = event(number=1, **rudder(["analytics"], ["ads"])), event(number=2, **rudder(["analytics"], ["ads"]))
    events, withheld = kept(first, second)
    assert withheld == 0
    assert [each.name for each in events] == [CONSENT_CHANGED, "A", "A"]
    assert [consent_changes(events[0], purpose)[0][2] for purpose in ("analytics", "advertising")] == [True, False]
    assert kept(first, second) == (events, 0)


def test_the_browsers_signal_is_a_refusal_on_record_though_the_event_itself_is_kept() -> None:
    change, ordinary = kept(event(), gpc=True)[0]
    assert consent_changes(change, "advertising") == [(7, change.message_id, False)]
    assert consent_changes(change, "analytics") == []
    assert ordinary.name == "A"


def test_a_refusal_of_collecting_without_a_change_event_is_on_record_without_the_event() -> None:
    (change,), withheld = kept(event(**rudder([], ["analytics"])))
    assert withheld == 1
    assert consent_changes(change, "analytics")[0][2] is False
    assert list(change.context) == ["consent"]


def test_rudderstacks_own_change_event_is_the_change() -> None:
    (change,), _ = kept(event("Consent Management Interaction", **rudder(["analytics"])))
    assert change.name == CONSENT_CHANGED
    assert change.context["consent"]["sources"] == {"analytics": "rudderstack"}


def test_a_consent_string_is_kept_as_its_hash() -> None:
    change = kept(event(**tcf(1, 8, tcString="CPXxRfAPXxRfA")))[0][0]
    assert len(change.context["consent"]["tcString"]) == 64
    assert "CPXx" not in str(change.context)


def test_without_purposes_nothing_is_withheld_and_nothing_is_changed() -> None:
    refused = event(**segment())
    readings = [Reading(profile=ProfileRef("anonymous_id", "ada"), event=refused, warnings=())]
    assert consented(readings, Catalog().consent, gpc=True) == (readings, 0)


@pytest.mark.parametrize(
    ("documents", "path"),
    [
        ({"consent": {**POLICY, "collect": "analytic"}}, "consent.collect"),
        ({"consent": POLICY, "settings": {"granted_unsaid": ["ads"]}}, r"settings.granted_unsaid\[0\]"),
        ({"consent": POLICY, "segments": {"it": {"purposes": ["ads"]}}}, r"segments.it.purposes\[0\]"),
        ({"consent": {"purposes": {"a": {"tcf": [12]}}}}, r"consent.purposes.a.tcf\[0\]"),
        ({"consent": {"purposes": {"a": {"consent_mode": ["ads"]}}}}, r"consent.purposes.a.consent_mode\[0\]"),
    ],
)
def test_a_purpose_that_is_not_declared_is_misspelt(documents: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid, match=f"^{path}: "):
        parse(documents)
