"""Linked visitors in DuckDB: what an anonymous visitor did is the user's that they turned out to be.

Import this only where it is needed: DuckDB takes its time.
"""

import duckdb

REDIRECTS = """
CREATE TEMP TABLE redirects AS
SELECT profile, newest.linked_to AS linked_to, newest.linked_since AS linked_since
FROM (
    SELECT profile, max_by({'linked_to': linked_to, 'linked_since': linked_since}, seq) AS newest
    FROM snapshots WHERE profile IN (SELECT DISTINCT profile FROM snapshots WHERE linked_to IS NOT NULL)
    GROUP BY profile
)
WHERE newest.linked_to IS NOT NULL
"""
"""The newest snapshot of a visitor tells whether they are linked."""

JOINED = """
CREATE VIEW events AS
SELECT archived.* REPLACE (
    CASE WHEN coalesce(archived.proven, true) OR archived.received_at <= redirects.linked_since
        THEN coalesce(redirects.linked_to, archived.profile) ELSE archived.profile END AS profile
)
FROM archived LEFT JOIN redirects ON archived.profile = redirects.profile
"""
"""As messages follow a redirect: what came up to the link, and later what is proven."""


def join_linked(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the view `events` the users' keys, as the view `memberships` tells who is linked now. That one is
    called `snapshots` then, for the batch twin has memberships of its own."""
    connection.execute("ALTER VIEW memberships RENAME TO snapshots")
    connection.execute(REDIRECTS)
    if connection.execute("SELECT 1 FROM redirects LIMIT 1").fetchone():
        connection.execute("ALTER VIEW events RENAME TO archived")
        connection.execute(JOINED)
