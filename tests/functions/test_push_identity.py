"""Only our own push account's messages are let in: every other token gets 403, and nothing is recorded of it."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import msgspec
import pytest

from emulator.signing import ACCOUNT, Signer
from segue import metrics
from segue.adapters.google.identity import ASKED_AGAIN_AFTER, KEPT_FOR, PushIdentity, certificates_in
from segue.adapters.system import ManualClock
from segue.domain.errors import Invalid, Unauthorized, Unavailable
from tests.functions.push_tokens import refused, token
from tests.functions.pushing import KEY, NOW, Pushing, changed, pushing, snapshot

AUDIENCE = "segue-update"

HEADERS = {
    "ce-id": f"{KEY}:1",
    "ce-type": "segue.membership.changed",
    "ce-source": "//test",
    "ce-specversion": "1.0",
    "ce-time": "2024-05-10T12:00:00Z",
}


GOOGLE = Signer("google-1")
REFUSED = refused(GOOGLE, AUDIENCE, "segue-deliver")
RIGHT = f"Bearer {token(GOOGLE, AUDIENCE)}"


class Certificates:
    """Google's address for its certificates."""

    def __init__(self) -> None:
        self.current: Mapping[str, str] = GOOGLE.certificates
        self.asked = 0
        self.answers = True

    async def __call__(self) -> Mapping[str, str]:
        self.asked += 1
        if not self.answers:
            raise Unavailable("it does not answer")
        return self.current


@pytest.fixture
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def identity(certificates: Certificates, clock: ManualClock) -> PushIdentity:
    return PushIdentity(AUDIENCE, ACCOUNT, clock, certificates)


@pytest.fixture
async def site(tmp_path: Path, identity: PushIdentity) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        site.restart(identity=identity)
        yield site


async def answer(site: Pushing, authorization: str | None) -> httpx.Response:
    headers = HEADERS if authorization is None else {**HEADERS, "authorization": authorization}
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    return await site.request("update", snapshot(changed(1)).data, encoded)  # type: ignore[arg-type]


async def test_a_token_of_our_push_account_is_let_in(site: Pushing) -> None:
    assert (await answer(site, RIGHT)).status_code == 204
    assert await site.public()


async def test_every_other_token_gets_403_in_the_same_words_and_leaves_no_trace_but_a_count(site: Pushing) -> None:
    before = metrics.NOTED.total(event="push_refused")
    answers = {what: await answer(site, authorization) for what, authorization in REFUSED.items()}
    assert {what: found.status_code for what, found in answers.items()} == dict.fromkeys(REFUSED, 403)
    assert len({found.content for found in answers.values()}) == 1
    assert site.broken.calls == []
    assert metrics.NOTED.total(event="push_refused") - before == len(REFUSED)


async def test_without_the_certificates_nobody_can_tell_and_the_message_comes_back(
    site: Pushing, certificates: Certificates
) -> None:
    certificates.answers = False
    assert (await answer(site, RIGHT)).status_code == 503


async def test_certificates_are_asked_for_once_an_hour(
    identity: PushIdentity, certificates: Certificates, clock: ManualClock
) -> None:
    for advance in (0, 1, KEPT_FOR - 2, 1):
        clock.advance(advance)
        await identity(RIGHT)
    assert certificates.asked == 2


async def test_a_new_key_is_asked_for_and_forged_ones_do_not_make_us_ask_again_and_again(
    identity: PushIdentity, certificates: Certificates, clock: ManualClock
) -> None:
    await identity(RIGHT)
    rotated = Signer("google-2")
    certificates.current = rotated.certificates
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await identity(REFUSED["a key nobody knows"])
    assert certificates.asked == 1
    clock.advance(ASKED_AGAIN_AFTER)
    await identity(f"Bearer {token(rotated, AUDIENCE)}")
    assert certificates.asked == 2


async def test_the_certificates_of_a_file_take_the_place_of_googles(tmp_path: Path, clock: ManualClock) -> None:
    file = tmp_path / "certificates.json"
    file.write_bytes(msgspec.json.encode(GOOGLE.certificates))
    await PushIdentity(AUDIENCE, ACCOUNT, clock, certificates_in(file))(RIGHT)
    file.write_text("no certificates")
    with pytest.raises(Invalid, match=r"SEGUE_PUSH_CERTIFICATES: expected a file with a JSON object of certificates"):
        certificates_in(file)
