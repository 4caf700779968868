"""What the archive is asked, in BigQuery's SQL. Tables are named without their dataset, every query's default.

A table wants a bound of `publish_time`; this one leaves nothing out, for what counts is when a message says it was.
JSON is cut as our own encoder writes it: without blanks, its fields in order.
"""

EVER = "publish_time > TIMESTAMP '2020-01-01'"

KEY = "SUBSTR(data, 9, 32)"
"""The key in data that begins with one, after `{"key":"`."""

OF_SEVERAL = ('{"anonymous_key":', '{"source":')
"""How data begins that may tell of profiles without beginning with their key: requests to link, and refused calls."""

ERASED = "SELECT key, MAX(until) AS until FROM erasures GROUP BY key"
"""Who is erased, and up to when."""

ERASED_OF = "SELECT key, MAX(until) FROM erasures WHERE key IN UNNEST(@keys) GROUP BY key"

ROWS = f"""
SELECT message_id, UNIX_MILLIS(publish_time), TO_JSON_STRING(attributes), data FROM {{table}}
WHERE {EVER} AND ({{wanted}}) ORDER BY publish_time, message_id
"""
"""Messages as they were published, the first one first."""

EVERYTHING = f"""
SELECT message_id, UNIX_MILLIS(publish_time), TO_JSON_STRING(attributes), data FROM {{table}} WHERE {EVER}
ORDER BY
    COALESCE(SAFE_CAST(JSON_VALUE(attributes, '$."ce-time"') AS TIMESTAMP), publish_time),
    COALESCE(JSON_VALUE(attributes, '$."ce-id"'), message_id),
    publish_time
"""
"""All messages in order of time then id; the same one again comes right after it."""

REVISED = f"""
MERGE INTO {{table}} AS kept
USING (
    SELECT
        JSON_VALUE(revision, '$.message_id') AS message_id,
        JSON_VALUE(revision, '$.attributes') AS context,
        JSON_VALUE(revision, '$.data') AS content
    FROM UNNEST(@revisions) AS revision
) AS revised
ON kept.message_id = revised.message_id AND kept.{EVER} AND ({{wanted}})
WHEN MATCHED AND content IS NULL THEN DELETE
WHEN MATCHED THEN UPDATE SET data = CAST(content AS {{type}}), attributes = PARSE_JSON(context)
"""
"""What is left of messages takes their place; nothing, where there is no data."""

ERASE = """
MERGE INTO erasures AS kept
USING (
    SELECT JSON_VALUE(erasure, '$.key') AS key, CAST(JSON_VALUE(erasure, '$.until') AS INT64) AS until
    FROM UNNEST(@erasures) AS erasure
) AS said
ON kept.key = said.key
WHEN MATCHED AND kept.until < said.until THEN UPDATE SET until = said.until
WHEN NOT MATCHED THEN INSERT (key, until) VALUES (said.key, said.until)
"""

_TOLD = f"""
told AS (
    SELECT
        {KEY} AS key,
        CAST(JSON_VALUE(data, '$.seq') AS INT64) AS seq,
        CAST(JSON_VALUE(data, '$.at') AS INT64) AS evaluated,
        data
    FROM memberships
    WHERE {EVER} AND STARTS_WITH(data, '{{"key":"')
    AND JSON_VALUE(attributes, '$."ce-type"') = 'segue.membership.changed'
), snapshots AS (
    SELECT told.* FROM told LEFT JOIN ({ERASED}) AS erased ON erased.key = told.key
    WHERE until IS NULL OR evaluated > until
), newest AS (
    SELECT key, MAX_BY(data, seq) AS data FROM snapshots WHERE evaluated <= @instant GROUP BY key
), entries AS (
    SELECT key, data, entry FROM newest,
    UNNEST(REGEXP_EXTRACT_ALL(JSON_QUERY(data, '$.memberships'), r'"(?:[^"\\\\]|\\\\.)*":\\[[^"]*\\]')) AS entry
), spans AS (
    SELECT
        key,
        data,
        JSON_VALUE(CONCAT('[', REGEXP_EXTRACT(entry, r'^"(?:[^"\\\\]|\\\\.)*"'), ']'), '$[0]') AS segment,
        CAST(JSON_VALUE(span, '$[0]') AS INT64) AS since,
        CAST(JSON_VALUE(span, '$[1]') AS INT64) AS ends
    FROM entries,
    UNNEST(REGEXP_EXTRACT_ALL(REGEXP_EXTRACT(entry, r'":\\[([^"]*)\\]$'), r'\\[[^\\]]*\\]')) AS span
)
"""
"""`snapshots` are all that count, `newest` each profile's of the instant, `spans` the intervals that those tell."""

_INSIDE = "since <= @instant AND (ends IS NULL OR ends > @instant)"

SIZES = f"""
WITH {_TOLD}, changes AS (
    SELECT
        JSON_VALUE(transition, '$.segment') AS segment,
        CAST(JSON_VALUE(transition, '$.at') AS INT64) AS changed
    FROM snapshots, UNNEST(JSON_QUERY_ARRAY(data, '$.transitions')) AS transition
)
SELECT segment, SUM(member), MAX(changed) FROM (
    SELECT segment, IF({_INSIDE}, 1, 0) AS member,
        CASE WHEN ends <= @instant THEN ends WHEN since <= @instant THEN since END AS changed
    FROM spans
    UNION ALL SELECT segment, 0 AS member, changed FROM changes WHERE changed <= @instant
)
GROUP BY segment ORDER BY segment
"""

_MEMBERS = f"""
{_TOLD}, redirects AS (
    SELECT key, JSON_VALUE(data, '$.into') AS root, CAST(JSON_VALUE(data, '$.into_since') AS INT64) AS since, data
    FROM (SELECT key, MAX_BY(data, seq) AS data FROM snapshots GROUP BY key)
    WHERE JSON_VALUE(data, '$.into') IS NOT NULL
), members AS (
    SELECT DISTINCT key, data FROM spans WHERE segment = @segment AND {_INSIDE}
), visitors AS (
    SELECT
        key, root, since, key IN (SELECT key FROM members) AS is_member, root IN (SELECT key FROM members) AS is_members
    FROM redirects
    UNION ALL SELECT key, CAST(NULL AS STRING), CAST(NULL AS INT64), TRUE, FALSE
    FROM members WHERE key NOT IN (SELECT key FROM redirects)
)
"""
"""`members` are the profiles inside the segment; `visitors` they, and whoever was found to be somebody else."""

NAMES = f"""
WITH {_MEMBERS}, named AS (
    SELECT key AS member, key, data FROM members
    UNION ALL SELECT root AS member, key, data FROM redirects WHERE root IN (SELECT key FROM members)
)
SELECT DISTINCT member, name FROM (
    SELECT member, JSON_VALUE(data, '$.profile.value') AS name FROM named
    WHERE JSON_VALUE(data, '$.profile.kind') = @kind
)
WHERE name <> '' AND TO_HEX(SHA256(IF(@hashed = 1, TO_HEX(SHA256(name)), name))) BETWEEN @lowest AND @highest
"""
"""The identifiers of members, those whose own hash or that of what is told lies between two."""

SAID = f"""
WITH {_MEMBERS}, received AS (
    SELECT {KEY} AS key, publish_time, attributes, data FROM events
    WHERE {EVER} AND STARTS_WITH(data, '{{"key":"')
    AND JSON_VALUE(attributes, '$."ce-type"') = 'segue.events.received'
)
SELECT received.data, root, since, is_member, is_members, until
FROM received JOIN visitors USING (key) LEFT JOIN ({ERASED}) AS erased USING (key)
WHERE is_member OR is_members
QUALIFY REGEXP_CONTAINS(received.data, @wanted) OR ROW_NUMBER() OVER (PARTITION BY key ORDER BY publish_time) = 1
"""
"""Messages of members and of who is one of them: those with a text that is wanted, and the first of each."""
