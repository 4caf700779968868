"""Keys and secrets are replaced without a gap: both are good for a while, and a minute later the old one is not."""

from pathlib import Path
from typing import Any

import jwt
import msgspec

from segue.domain.catalog import key_hash
from segue.domain.edition import read
from segue.domain.time import MINUTE
from tests.functions.bad_input import WRITE_KEY
from tests.functions.ingesting import NOW, Ingest, ingesting

OLD_SECRET, NEW_SECRET = "the old secret of the site's backend", "the new secret of the site's backend"


async def becomes(ingest: Ingest, **changes: Any) -> None:
    """Publish the catalogue with the source changed; a minute later it is in force everywhere."""
    catalog = ingest.platform.ports.catalog
    current = await catalog.current()
    assert current
    documents: Any = read(current.data).definitions
    documents["sources"]["shop"] |= changes
    await catalog.publish(msgspec.json.encode(documents))
    ingest.clock.advance(MINUTE + 1)


async def answers(ingest: Ingest, *keys: str) -> list[int]:
    call = {"type": "track", "event": "A", "anonymousId": "a"}
    return [(await ingest.post("/v1/track", call, key=key)).status_code for key in keys]


#   old key          old and new          new key
#  ─────────────┼──────────────────┼───────────────────►
#           published          published    each within a minute
async def test_a_write_key_is_replaced(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        assert await answers(ingest, WRITE_KEY, "new") == [200, 401]
        await becomes(ingest, write_keys=[key_hash(WRITE_KEY), key_hash("new")])
        assert await answers(ingest, WRITE_KEY, "new") == [200, 200]
        await becomes(ingest, write_keys=[key_hash("new")])
        assert await answers(ingest, WRITE_KEY, "new") == [401, 200]


async def test_a_secret_that_identity_tokens_are_signed_with_is_replaced(tmp_path: Path) -> None:
    secrets = msgspec.json.encode({"old": OLD_SECRET, "new": NEW_SECRET}).decode()
    verified = {"identity": "verified", "identity_secrets": ["old"]}
    async with ingesting(tmp_path, source=verified, environment={"SEGUE_IDENTITY_SECRETS": secrets}) as ingest:
        believed = [await who_is_believed(ingest)]
        for names in (["old", "new"], ["new"]):
            await becomes(ingest, identity_secrets=names)
            believed.append(await who_is_believed(ingest))
    assert believed == [["old"], ["old", "new"], ["new"]]


async def who_is_believed(ingest: Ingest) -> list[str]:
    """Of two users, whose tokens are signed with the old and the new secret, those who are taken for themselves."""
    for user, secret in (("old", OLD_SECRET), ("new", NEW_SECRET)):
        proof = jwt.encode({"sub": user, "exp": (NOW + 60 * MINUTE) // 1_000}, secret, algorithm="HS256")
        call = {"type": "track", "event": "A", "anonymousId": "a", "userId": user, "context": {"identityToken": proof}}
        await ingest.post("/v1/track", call)
    return [each.profile.value for each in await ingest.published() if each.profile.kind == "user_id"]
