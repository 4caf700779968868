"""An identity token is believed for what it says, while it is valid, if one of the source's secrets signed it."""

from typing import Any

import jwt
import pytest

from segue.domain.identity_token import Proven, proven, without_token

NOW = 1_715_342_400_000
SECOND, DAY = 1, 86_400
SECRET, NEXT_SECRET = "a secret of 64 bytes" * 4, "another one of as many" * 3

CLAIMS = {"sub": "ruth", "exp": NOW // 1_000 + 3_600}


def token(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, secret, algorithm=algorithm)


def read(given: object, source: str = "shop", now: int = NOW) -> Proven | None:
    return proven(given, (SECRET, NEXT_SECRET), source, now)


def test_it_proves_who_the_visitor_is() -> None:
    assert read(token()) == Proven("ruth", None)


def test_either_of_two_secrets_will_do() -> None:
    assert read(token(NEXT_SECRET)) == Proven("ruth", None)


def test_it_may_say_which_anonymous_visitor_they_were() -> None:
    assert read(token(anonymous_id="a-1")) == Proven("ruth", "a-1")


@pytest.mark.parametrize("audience", ["shop", ["blog", "shop"]])
def test_it_may_say_which_source_it_is_for(audience: object) -> None:
    assert read(token(aud=audience)) == Proven("ruth", None)
    assert read(token(aud=audience), source="other") is None


def test_it_ends_when_it_says_and_not_a_moment_later() -> None:
    #            exp
    # ──proven──┤
    given = token(exp=NOW // 1_000 + SECOND)
    assert read(given, now=NOW + 999) == Proven("ruth", None)
    assert read(given, now=NOW + 1_000) is None


def test_it_is_good_for_a_day_at_most() -> None:
    assert read(token(exp=NOW // 1_000 + DAY)) == Proven("ruth", None)
    assert read(token(exp=NOW // 1_000 + DAY + SECOND)) is None


def test_it_begins_when_it_says() -> None:
    given = token(nbf=NOW // 1_000 + SECOND)
    assert read(given) is None
    assert read(given, now=NOW + 1_000) == Proven("ruth", None)


def without_algorithm() -> str:
    return jwt.encode(CLAIMS, "", algorithm="none")


@pytest.mark.parametrize(
    "given",
    [
        None,
        5,
        "",
        "no.token.at.all",
        token("a secret that is not the source's"),
        token(algorithm="HS512"),
        without_algorithm(),
        without_algorithm() + "abc",
        token()[:-2],
        token(sub=None),
        token(exp=None),
        token(sub=" "),
        token(sub="x" * 257),
        token(exp="soon"),
        token(exp=True),
        token(nbf="now"),
        token(aud=5),
        token(anonymous_id=["a-1"]),
        token(padding="x" * 8_192),
    ],
)
def test_whatever_else_proves_nothing(given: object) -> None:
    assert read(given) is None


def test_nothing_is_proven_without_a_secret() -> None:
    assert proven(token(), (), "shop", NOW) is None


def test_a_call_is_parted_from_its_token() -> None:
    call = {"type": "identify", "context": {"identityToken": "t", "ip": "x"}}
    assert without_token(call) == ({"type": "identify", "context": {"ip": "x"}}, "t")
    others: list[object] = [{"context": {}}, {"context": "t"}, {}, ["identityToken"], None]
    assert [without_token(other) for other in others] == [(other, None) for other in others]
