"""form: the own format without its judge: a JSON Schema of its lines, and what is wrong with a file's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oneleader.errors import UsageError
from oneleader.models import MODELS
from oneleader.readers.replay.candidates import LineRefused, NotModelled
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.formats.own_header import HEADER, HEADER_FOR_PEOPLE, VERSION
from oneleader.readers.replay.formats.own_steps import LATEST, STEP, STEP_FOR_PEOPLE
from oneleader.readers.replay.formats.shown_forms import FORMS, NATURAL, PARTS, SOME_WORDS, WORDS
from oneleader.readers.replay.lines import records
from oneleader.readers.replay.replay import SECOND_HEADER, of_another

OBJECT: dict[str, Any] = {"type": "object"}
CALL = {"type": "array", "prefixItems": [{"type": "string"}, OBJECT], "minItems": 2, "maxItems": 2}
NAMES = SOME_WORDS | {"uniqueItems": True}
OF_HEADER: dict[str, Any] = {
    "format": {"const": "oneleader"},
    "version": {"const": VERSION},
    "model": {"type": "string", "examples": list(MODELS)},
    "nodes": NAMES,
    "elements": {"type": "object", "additionalProperties": NAMES},
    "quorums": {"anyOf": [{"const": "majority"}, {"type": "array", "items": SOME_WORDS, "minItems": 1}]},
    "configuration": PARTS,
    "constants": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "array"}}},
    "parameters": {"type": "object", "additionalProperties": NATURAL},
    "incomplete": WORDS,
    "violates": CALL,
}
OF_STEP: dict[str, Any] = {
    "node": {"type": "string"},
    "event": {"type": "string"},
    "actions": {"type": "array", "items": CALL},
    "given": OBJECT,
    "after": OBJECT,
    "time": {"type": "number", "minimum": -LATEST, "maximum": LATEST},
    "sends": WORDS,
    "receives": WORDS,
} | {key: form.schema for key, form in FORMS.items()}
# Beside the form of each key: the nodes are named once, and what is `given` comes before `actions`.
ONCE = {"dependentSchemas": {"nodes": {"properties": {"elements": {"not": {"required": ["Node"]}}}}}}
BEFORE = {"dependentRequired": {"given": ["actions"]}}


def schema() -> dict[str, Any]:
    """The JSON Schema of a line. What a model allows beyond it, `faults_of` says."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of a recording in the format oneleader, version {VERSION}",
        "$comment": "The first line is a header, every other one a step. Whole numbers are written without a "
        "point. What a model and a header name, such as fields and nodes, `oneleader trace lint` knows.",
        "anyOf": [
            _object(OF_HEADER, HEADER, HEADER_FOR_PEOPLE, ["format", "version", "model"]) | ONCE,
            _object(OF_STEP, STEP, STEP_FOR_PEOPLE, ["node", "event"]) | BEFORE,
        ],
    }


def _object(of: dict[str, Any], keys: Iterable[str], for_people: Iterable[str], required: list[str]) -> Any:
    known = {key: of[key] for key in keys} | {key: {} for key in for_people}
    return {"type": "object", "properties": known, "required": required, "additionalProperties": False}


def faults_of(lines: Iterable[bytes | str]) -> Iterator[str]:
    """What is wrong with each line, as far as it can be read without judging what was done."""
    format: OwnFormat | None = None
    number = 0
    try:
        for number, record in records(lines):
            if format is None:
                format = OwnFormat(record, None, 1)
                format.begin()
                continue
            if why := SECOND_HEADER if OwnFormat.recognises(record) else of_another(format, record):
                yield f"line {number}: {why}"
                return
            try:
                format.read(record)
            except (UsageError, NotModelled) as error:
                yield f"line {number}: {error}"
    except (UsageError, NotModelled) as error:  # the header, or no JSON: nothing after it can be read
        yield f"line {getattr(error, 'line', number)}: {error}"
    except LineRefused as refused:
        yield f"line {number}: {refused.text}"
    else:
        if number == 0:
            yield "there is no line"
