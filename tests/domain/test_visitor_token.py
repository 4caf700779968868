"""A visitor token opens the profile that it was issued for, for as long as it says, and passes for nothing else."""

from typing import Any

import jwt
import pytest

from segue.domain.errors import Invalid
from segue.domain.identity_token import proven
from segue.domain.profile import ProfileRef
from segue.domain.time import MINUTE, SECOND
from segue.domain.visitor_token import AUDIENCE, LONGEST_LIFE, issued, opened

NOW = 1_715_342_400_000
SECRET, ANOTHER = b"the secret of this deployment, and none else", b"the secret of another deployment somewhere"
ANN, RUTH = ProfileRef("anonymous_id", "ann"), ProfileRef("user_id", "ruth")

FORGED: dict[str, Any] = {"sub": "user_id:ruth", "aud": AUDIENCE, "exp": NOW // SECOND + 60}


def token(profile: ProfileRef = ANN, lifetime: int = MINUTE) -> str:
    return issued(SECRET, profile, NOW, lifetime).token


@pytest.mark.parametrize("value", ["ann", "a:b", "é/..", "🙂" * 256, " x "])
def test_it_opens_the_profile_that_it_was_issued_for(value: str) -> None:
    for visitor in (ProfileRef("anonymous_id", value), ProfileRef("user_id", value)):
        assert opened(SECRET, token(visitor), NOW) == visitor


def test_it_ends_when_it_says_and_not_a_moment_later() -> None:
    #            expires_at
    # ───opened──┤
    given = issued(SECRET, ANN, NOW, MINUTE)
    assert given.expires_at == NOW + MINUTE
    assert opened(SECRET, given.token, given.expires_at - 1) == ANN
    assert opened(SECRET, given.token, given.expires_at) is None


def test_it_ends_at_a_whole_second_within_its_life() -> None:
    assert issued(SECRET, ANN, NOW + 999, MINUTE).expires_at == NOW + MINUTE


@pytest.mark.parametrize("lifetime", [SECOND, LONGEST_LIFE])
def test_a_life_is_a_second_at_least_and_a_quarter_of_an_hour_at_most(lifetime: int) -> None:
    assert opened(SECRET, token(lifetime=lifetime), NOW) == ANN
    beyond = lifetime - 1 if lifetime == SECOND else lifetime + 1
    with pytest.raises(Invalid, match="expected a life of 1000 to 900000 ms"):
        token(lifetime=beyond)


def test_a_clock_that_is_a_minute_behind_the_issuers_opens_it() -> None:
    assert opened(SECRET, token(lifetime=LONGEST_LIFE), NOW - MINUTE) == ANN


def test_another_deployments_token_opens_nothing() -> None:
    assert opened(ANOTHER, token(), NOW) is None


def test_the_profile_secret_itself_signs_no_token() -> None:
    assert opened(SECRET, jwt.encode(FORGED, SECRET, "HS256"), NOW) is None


def test_a_token_without_a_signature_opens_nothing() -> None:
    assert opened(SECRET, jwt.encode(FORGED, "", "none"), NOW) is None


def test_a_token_that_was_changed_opens_nothing() -> None:
    head, body, signature = token(ANN).split(".")
    _, other_body, other_signature = token(RUTH).split(".")
    for forged in (f"{head}.{other_body}.{signature}", f"{head}.{body}.{other_signature}", f"{head}.{body}.", head):
        assert opened(SECRET, forged, NOW) is None


@pytest.mark.parametrize("given", [None, "", "x", ".", "..", "a.b.c", 1, True, [], {}, "é" * 100, "a" * 100_000])
def test_what_is_no_token_opens_nothing(given: object) -> None:
    assert opened(SECRET, given, NOW) is None


def test_an_identity_token_opens_nothing_even_where_a_site_signs_with_the_profile_secret() -> None:
    identity = jwt.encode({"sub": "user_id:ruth", "exp": NOW // SECOND + 60}, SECRET, "HS256")
    assert proven(identity, (SECRET.decode(),), "shop", NOW) is not None
    assert opened(SECRET, identity, NOW) is None


def test_a_visitor_token_proves_nobodys_identity() -> None:
    assert proven(token(RUTH), (SECRET.decode(),), "shop", NOW) is None
