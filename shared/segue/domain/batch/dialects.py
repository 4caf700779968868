"""What the queries ask of a JSON value: a few functions of our own, and how each dialect writes them.

A query is written in DuckDB's dialect with these functions, which are macros there; sqlglot makes BigQuery's of it.

| function `json_…` | says |
| --- | --- |
| `at(json, 'path')` | the value at a dotted path of names, as JSON; NULL where there is none |
| `is_there(json)` | it is neither NULL nor null |
| `is_text is_number is_array is_object (json)` | what it is; never NULL |
| `is_literal(json, 'true')` | it is that JSON text; never NULL |
| `text(json)` | the text in NFC |
| `number(json)` | the double, NULL where it is no number |
| `decimal(json)` | the number in millionths where it is a plain decimal of up to 7 and 6 digits, else NULL |
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from sqlglot import ErrorLevel, condition, exp, parse_one

Dialect: TypeAlias = Literal["duckdb", "bigquery"]

FUNCTIONS: Final[Mapping[Dialect, Mapping[str, str]]] = {
    "duckdb": {
        "json_at": "json_extract({0}, {1})",
        "json_is_there": "coalesce(cast({0} as varchar) <> 'null', false)",
        "json_is_text": "coalesce(starts_with(cast({0} as varchar), '\"'), false)",
        "json_is_number": "coalesce(contains('-0123456789', cast({0} as varchar)[1]), false)",
        "json_is_array": "coalesce(starts_with(cast({0} as varchar), '['), false)",
        "json_is_object": "coalesce(starts_with(cast({0} as varchar), '{{'), false)",
        "json_is_literal": "coalesce(cast({0} as varchar) = {1}, false)",
        "json_text": "nfc_normalize(json_extract_string({0}, '$'))",
        "json_number": "try_cast(cast({0} as varchar) as double)",
        "json_decimal": "case when regexp_full_match(cast({0} as varchar), '-?[0-9]{{1,7}}(\\.[0-9]{{1,6}})?') "
        "then cast(cast(cast({0} as varchar) as decimal(18, 6)) * 1000000 as bigint) end",
    },
    "bigquery": {
        "json_at": "JSON_QUERY({0}, {1})",
        "json_is_there": "COALESCE(JSON_TYPE({0}) <> 'null', FALSE)",
        "json_is_text": "COALESCE(JSON_TYPE({0}) = 'string', FALSE)",
        "json_is_number": "COALESCE(JSON_TYPE({0}) = 'number', FALSE)",
        "json_is_array": "COALESCE(JSON_TYPE({0}) = 'array', FALSE)",
        "json_is_object": "COALESCE(JSON_TYPE({0}) = 'object', FALSE)",
        "json_is_literal": "COALESCE(TO_JSON_STRING({0}) = {1}, FALSE)",
        "json_text": "NORMALIZE(JSON_VALUE({0}, '$'), NFC)",
        "json_number": "SAFE_CAST(JSON_VALUE({0}, '$') AS FLOAT64)",
        "json_decimal": "CASE WHEN REGEXP_CONTAINS(JSON_VALUE({0}, '$'), r'^-?[0-9]{{1,7}}(\\.[0-9]{{1,6}})?$') "
        "THEN CAST(CAST(JSON_VALUE({0}, '$') AS NUMERIC) * 1000000 AS INT64) END",
    },
}


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """One of our own functions."""
    return exp.Anonymous(this=f"json_{name}", expressions=list(arguments))


def literal(value: str | int | float | bool) -> exp.Expr:
    """A value as it stands in SQL; a float is a double there too, not a decimal."""
    if not isinstance(value, float):
        return exp.convert(value)
    digits = repr(abs(value))
    number = exp.Literal.number(digits if "e" in digits else f"{digits}e0")
    return exp.Neg(this=number) if value < 0 else number


def macros() -> Iterator[str]:
    """What makes our own functions known to DuckDB, which then runs the queries as they are."""
    for name, body in FUNCTIONS["duckdb"].items():
        arguments = ["a", "b"][: 1 + ("{1}" in body)]
        yield f"CREATE OR REPLACE MACRO {name}({', '.join(arguments)}) AS {body.format(*arguments)}"


def in_bigquery(query: str) -> str:
    """A query in BigQuery's dialect. (No column that is ordered by is ever NULL: where NULLs go is no matter.)"""
    functions = FUNCTIONS["bigquery"]

    def lowered(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Anonymous) or node.name.lower() not in functions:
            return node
        arguments = [argument.transform(lowered).sql("bigquery") for argument in node.expressions]
        return exp.paren(condition(functions[node.name.lower()].format(*arguments), dialect="bigquery"))

    tree = parse_one(query, dialect="duckdb").transform(lowered)
    return tree.sql("bigquery", pretty=True, unsupported_level=ErrorLevel.IGNORE)
