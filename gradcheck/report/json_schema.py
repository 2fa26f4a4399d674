"""The JSON schema of a report, read off the records themselves; `report.schema.json` is what comes out."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from gradcheck.report import evidence
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Evidence
from gradcheck.report.records import SCHEMA, VERSION, Finding, ReportRecord, Worst

#: what JSON has for each builtin; a float that is not finite becomes null
_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": ["number", "null"]},
}


def report_schema() -> dict[str, Any]:
    """The schema of `Report.to_json`, as JSON Schema 2020-12.

    A version may add fields and codes, so an object may have more fields than are listed, and a code be another one.
    """
    definitions: dict[str, Any] = {}
    report = _record(ReportRecord, definitions)
    fixed = {"schema": {"const": SCHEMA}, "version": {"const": VERSION}, "ok": {"type": "boolean"}}
    report["properties"] = {**fixed, **report["properties"]}
    report["required"] = [*fixed, *report["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:gradcheck:report:{VERSION}",
        "title": "A report of gradcheck",
        **report,
        "$defs": dict(sorted(definitions.items())),
    }


def _record(record: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The object that a record becomes."""
    hints = typing.get_type_hints(record)
    names = record._fields if record is Worst else [one.name for one in dataclasses.fields(record)]
    fields = {name: _value(hints[name], definitions) for name in names}
    if issubclass(record, Finding):
        told = {name: {"type": "string"} for name in ("kind", "headline", "message")}
        fields = {"code": fields["code"], **told, **fields}
    return {
        "type": "object",
        "description": (record.__doc__ or "").split("\n\n")[0].replace("\n    ", " "),
        "properties": fields,
        "required": [*fields],
    }


def _value(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value of this type."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin is Literal:
        return {"enum": [*inside]}
    if origin in (types.UnionType, typing.Union):
        (one,) = (part for part in inside if part is not type(None))
        return {"anyOf": [_value(one, definitions), {"type": "null"}]}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(inside[1], definitions)}
    if origin is list or (origin is tuple and inside[-1] is Ellipsis):
        return {"type": "array", "items": _value(inside[0], definitions)}
    if origin is tuple:
        items = [_value(one, definitions) for one in inside]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if hint is FindingCode:
        return {"type": "string", "examples": [code.value for code in FindingCode]}
    return _reference(hint, definitions)


def _reference(record: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the definition of a record, which is made where it is met first."""
    if record.__name__ not in definitions:
        definitions[record.__name__] = {}  # a label may hold labels
        described = _evidence(definitions) if record is Evidence else _record(record, definitions)
        definitions[record.__name__] = described
    return {"$ref": f"#/$defs/{record.__name__}"}


def _evidence(definitions: dict[str, Any]) -> dict[str, Any]:
    """One of the kinds of evidence, told by its field `kind`; a kind that is not known may be anything."""
    return {
        "type": "object",
        "properties": {"kind": {"type": "string"}},
        "required": ["kind"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": record.kind}}},
                "then": _reference(record, definitions),
            }
            for record in _kinds()
        ],
    }


def _kinds() -> Iterator[type[Evidence]]:
    for one in vars(evidence).values():
        if isinstance(one, type) and issubclass(one, Evidence) and one is not Evidence:
            yield one
