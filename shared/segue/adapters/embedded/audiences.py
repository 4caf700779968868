"""The identifiers of a segment's members, from the archive's rows in DuckDB.

Import this only where it is needed: DuckDB takes its time.
"""

import duckdb

from segue.adapters.embedded.batch import CHUNK, Batch
from segue.adapters.embedded.linked import join_linked
from segue.domain import rules
from segue.domain.audience import Audience
from segue.domain.enrichment.contact import EMAILS, contact_hash, looks_like_email

MEMBERS = """
CREATE TEMP TABLE members AS
WITH newest AS (
    SELECT profile, max(seq) AS seq, max_by(intervals, seq) AS intervals
    FROM snapshots WHERE evaluated_at <= $at GROUP BY profile
), spans AS (
    SELECT profile, seq, unnest(intervals, max_depth := 2) FROM newest
), inside AS (
    SELECT profile, seq FROM spans WHERE segment = $segment AND since <= $at AND ("until" IS NULL OR "until" > $at)
), told AS (
    SELECT profile, decode(from_base64(data)) AS told FROM snapshots SEMI JOIN inside USING (profile, seq)
)
SELECT profile, told->>'$.profile.kind' AS kind, told->>'$.profile.value' AS id FROM told
"""
"""What a snapshot says in full is looked at once it is known whose are needed."""

CONSENTED = """
DELETE FROM members WHERE profile NOT IN (SELECT profile FROM memberships WHERE since <= $at AND until > $at)
"""

USERS = "SELECT id AS found FROM members WHERE kind = 'user_id'"

BROWSERS = """
SELECT id AS found FROM members WHERE kind = 'anonymous_id' UNION ALL
SELECT decode(max_by(from_base64(data), seq))->>'$.profile.value' FROM snapshots
WHERE profile IN (SELECT profile FROM redirects WHERE linked_to IN (SELECT profile FROM members)) GROUP BY profile
"""
"""What a user did before they were known, they did as one of these."""

_SAID = " ".join(f"""WHEN json_exists(traits, '$."{name}"') THEN traits->>'$."{name}"'""" for name in EMAILS)

EMAILS_SAID = f"""
CREATE TABLE said AS
SELECT profile, max_by({{'email': CASE {_SAID} END}}, (occurred_at, received_at, message_id)).email AS email
FROM (
    SELECT profile, occurred_at, received_at, message_id, traits FROM events
    WHERE received_at <= $at AND profile IN (SELECT profile FROM members)
    AND ({" OR ".join(f'''json_exists(traits, '$."{name}"')''' for name in EMAILS)})
    QUALIFY row_number() OVER (PARTITION BY profile, message_id ORDER BY received_at) = 1
) GROUP BY profile
"""
"""Of each member the newest that was said; null takes it back."""

IN_ORDER = """
SELECT DISTINCT {named} AS identifier FROM ({found})
WHERE found <> '' AND starts_with(lpad(bin(CAST('0x' || left(sha256({named}), 8) AS UINTEGER)), 32, '0'), $part)
ORDER BY identifier
"""


def identifiers(connection: duckdb.DuckDBPyConnection, asked: Audience, at: int, part: str) -> list[str]:
    """In order; the connection has the views `events` and `memberships` of the archive, and is used up by it."""
    join_linked(connection)
    connection.execute(MEMBERS, {"segment": asked.segment, "at": at})
    if asked.purposes:
        _leave_out_who_did_not_consent(connection, asked, at)
    if asked.identifier == "email":
        query = IN_ORDER.format(named="found", found=_email_hashes(connection, at))
    else:
        found = USERS if asked.identifier == "user_id" else BROWSERS
        query = IN_ORDER.format(named="sha256(found)" if asked.hashed else "found", found=found)
    rows = connection.execute(query, {"part": part}).fetchall()
    return [found for (found,) in rows if asked.hashed or not looks_like_email(found)]


def _leave_out_who_did_not_consent(connection: duckdb.DuckDBPyConnection, asked: Audience, at: int) -> None:
    """By a segment of those who did, so that consent is here what it is everywhere."""
    consented = {"name": "Consented", "when": {"all": [{"consent": purpose} for purpose in asked.purposes]}}
    program = rules.compile({"consented": consented}, granted_unsaid=asked.granted_unsaid, max_age=asked.max_age)
    Batch(connection).run({"consented": consented}, program, at)
    connection.execute(CONSENTED, {"at": at})


def _email_hashes(connection: duckdb.DuckDBPyConnection, at: int) -> str:
    """A query for the hash of each member's address: most are archived as one, and the others become one here."""
    connection.execute(EMAILS_SAID, {"at": at})
    connection.execute("CREATE TABLE hashes (email VARCHAR, hash VARCHAR)")
    addresses = connection.cursor().execute("SELECT DISTINCT email FROM said WHERE email IS NOT NULL")
    while rows := addresses.fetchmany(CHUNK):
        found = [email for (email,) in rows]
        hashes = [contact_hash("email", email) for email in found]
        connection.execute("INSERT INTO hashes SELECT unnest(?), unnest(?)", [found, hashes])
    return "SELECT hash AS found FROM said JOIN hashes USING (email)"
