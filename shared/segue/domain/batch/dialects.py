"""What the queries ask of a JSON value: a few functions of our own, and how each dialect writes them.

A query is one tree; only these functions differ between DuckDB and BigQuery beyond what sqlglot knows.

| function | says |
| --- | --- |
| `at(json, 'path')` | the value at a dotted path of names, as JSON; NULL where there is none |
| `is_there(json)` | it is neither NULL nor null |
| `is_text is_number is_array is_object (json)` | what it is; never NULL |
| `is_literal(json, 'true')` | it is that JSON text; never NULL |
| `text(json)` | the text in NFC |
| `number(json)` | the double, NULL where it is no number |
| `decimal(json)` | the number in millionths where it is a plain decimal of up to 7 and 6 digits, else NULL |
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from sqlglot import ErrorLevel, condition, exp

Dialect: TypeAlias = Literal["duckdb", "bigquery"]

FUNCTIONS: Final[Mapping[Dialect, Mapping[str, str]]] = {
    "duckdb": {
        "AT": "json_extract({0}, {1})",
        "IS_THERE": "coalesce(cast({0} as varchar) <> 'null', false)",
        "IS_TEXT": "coalesce(starts_with(cast({0} as varchar), '\"'), false)",
        "IS_NUMBER": "coalesce(contains('-0123456789', cast({0} as varchar)[1]), false)",
        "IS_ARRAY": "coalesce(starts_with(cast({0} as varchar), '['), false)",
        "IS_OBJECT": "coalesce(starts_with(cast({0} as varchar), '{{'), false)",
        "IS_LITERAL": "coalesce(cast({0} as varchar) = {1}, false)",
        "TEXT": "nfc_normalize(json_extract_string({0}, '$'))",
        "NUMBER": "try_cast(cast({0} as varchar) as double)",
        "DECIMAL": "case when regexp_full_match(cast({0} as varchar), '-?[0-9]{{1,7}}(\\.[0-9]{{1,6}})?') "
        "then cast(cast(cast({0} as varchar) as decimal(18, 6)) * 1000000 as bigint) end",
    },
    "bigquery": {
        "AT": "JSON_QUERY({0}, {1})",
        "IS_THERE": "COALESCE(JSON_TYPE({0}) <> 'null', FALSE)",
        "IS_TEXT": "COALESCE(JSON_TYPE({0}) = 'string', FALSE)",
        "IS_NUMBER": "COALESCE(JSON_TYPE({0}) = 'number', FALSE)",
        "IS_ARRAY": "COALESCE(JSON_TYPE({0}) = 'array', FALSE)",
        "IS_OBJECT": "COALESCE(JSON_TYPE({0}) = 'object', FALSE)",
        "IS_LITERAL": "COALESCE(TO_JSON_STRING({0}) = {1}, FALSE)",
        "TEXT": "NORMALIZE(JSON_VALUE({0}, '$'), NFC)",
        "NUMBER": "SAFE_CAST(JSON_VALUE({0}, '$') AS FLOAT64)",
        "DECIMAL": "CASE WHEN REGEXP_CONTAINS(JSON_VALUE({0}, '$'), r'^-?[0-9]{{1,7}}(\\.[0-9]{{1,6}})?$') "
        "THEN CAST(CAST(JSON_VALUE({0}, '$') AS NUMERIC) * 1000000 AS INT64) END",
    },
}


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """One of our own functions."""
    return exp.Anonymous(this=name.upper(), expressions=list(arguments))


def literal(value: str | int | float | bool) -> exp.Expr:
    """A value as it stands in SQL; a float is a double there too, not a decimal."""
    if not isinstance(value, float):
        return exp.convert(value)
    digits = repr(abs(value))
    number = exp.Literal.number(digits if "e" in digits else f"{digits}e0")
    return exp.Neg(this=number) if value < 0 else number


def written(query: exp.Expr, dialect: Dialect, *, pretty: bool = False) -> str:
    """The text of a query in a dialect. (No column that is ordered by is ever NULL, so where NULLs go is no matter.)"""
    functions = FUNCTIONS[dialect]

    def lowered(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Anonymous) or node.name.upper() not in functions:
            return node
        arguments = [lowered_all(argument).sql(dialect) for argument in node.expressions]
        return exp.paren(condition(functions[node.name.upper()].format(*arguments), dialect=dialect))

    lowered_all: Callable[[exp.Expr], exp.Expr] = lambda tree: tree.transform(lowered)  # noqa: E731
    return lowered_all(query).sql(dialect, pretty=pretty, unsupported_level=ErrorLevel.IGNORE)
