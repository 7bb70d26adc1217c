r"""Mutants of the TLA+ text: one module of tla/ with one small thing wrong.

| mutation           | what changes                                       | id, in its definition  |
|--------------------|----------------------------------------------------|------------------------|
| operand dropped    | one conjunct is TRUE, one disjunct FALSE           | -IsCandidate(n)        |
| comparison turned  | `=` `#`, `<` `<=`, `\in` `\notin`, `\subseteq` `=` | =→#                    |
| EXCEPT removed     | `[f EXCEPT ![n] = e]` is f                         | [role EXCEPT→role      |
| assignment removed | `x' = e` is `x' = x`                               | heartbeat' unchanged   |
| connective turned  | `=>` to `/\`, `\E` `\A`, a `~` removed             | \E→\A                  |
| branch fixed       | the condition of an IF is TRUE, or FALSE           | IF→TRUE                |
| number moved       | a number one more, one less; TRUE FALSE            | 0→1                    |
| operator turned    | `+` to `-`, `\cup` and `\`, `\div` to `*`          | \cup→\                 |
| string turned      | a string is the next one of its module             | "leader"→"candidate"   |
| start changed      | in Init, an empty set or log is not, Nil is 0      | {}→{0}                 |
| of no type         | in Init, a value that no type allows               | {}→{Nil}               |

An assignment is left out altogether only once in each module: TLC refuses a step, or a beginning, that
leaves a variable open, wherever that is.

Mutated are Init, Next and all that they and the bounds of the configuration use; claims are not, for they
are no part of the graph that is compared. The reader here knows the style of our own modules and no more:
definitions begin in the first column, and lists of conjuncts are aligned.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from oneleader.models import find
from oneleader.readers.tlc.config import module_of
from oneleader.shipped import tla_folder

TWINS = (
    "election", "vote_count", "pre_vote", "replication", "membership", "snapshots", "lease", "fencing",
    "system", "flawed/bully",
)  # fmt: skip
ROOTS = ("Init", "Next", "Majority", "TermIsBounded", "IndexIsBounded")
LONGEST = 44  # characters of source in an id

TURNED = {
    "=": "#", "#": "=", "<": "<=", "<=": "<", ">": ">=", ">=": ">", r"\in": r"\notin", r"\notin": r"\in",
    r"\subseteq": "=", "=>": r"/\ ", r"\E": r"\A", r"\A": r"\E", "+": "-", r"\cup": "\\", "\\": r"\cup",
    r"\div": "*", "TRUE": "FALSE", "FALSE": "TRUE",
}  # fmt: skip
BELOW_ZERO = "(0 - 1)"  # Naturals knows no -1
OF_NO_TYPE = ("-1", "Nil", "{Nil}", "<<Nil>>")  # Nil is a model value, which TLC compares with anything
USING = re.compile(r"EXTENDS \w+(?: , \w+)*|INSTANCE \w+")
AROUND = {"{": "}", "(": ")", "[": "]", "<<": ">>"}
ENDS = ("=>", "<=>", ":", "THEN", "ELSE", "IF", "IN", "LET", ",", "|->", "==", " CASE", "->", "[]")


class TlaToken(NamedTuple):
    text: str
    start: int  # in the module
    column: int
    first: bool  # of its line

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class TlaMutant:
    """A module with one change. `id` is `election/Election.tla/GrantVote: -VoteIsFree(voter, candidate)`."""

    id: str
    model: str
    file: str
    definition: str
    text: str

    @property
    def is_of_no_type(self) -> bool:
        return bool(re.search(rf": .*→({'|'.join(map(re.escape, OF_NO_TYPE))})( #\d+)?$", self.id))

    @property
    def goes_with_others(self) -> bool:
        """Whether it can be judged in a run with others: TLC does not stop at it, as far as one can see.

        What a majority is shows where TLC prints the quorums, in a run of its own.
        """
        what = self.id.partition(": ")[2]
        stops = self.definition == "Init" and what[0] in "-{<"
        return not (self.file.startswith("MC") or self.definition == "Majority" or stops)


_TOKEN = re.compile(
    r"""(?P<skip>\\\*[^\n]*|\(\*.*?\*\)|\s+)
      | "[^"\n]*" | /\\ | \\/ | \\[a-zA-Z]+ | \|-> | <=> | => | == | <- | -> | << | >> | <= | >= | =< | \.\.
      | :> | @@ | \[\] | [A-Za-z_]\w*'? | \d+ | .""",
    re.VERBOSE | re.DOTALL,
)


def tokens_of(text: str) -> list[TlaToken]:
    """The tokens of a module, comments left out."""
    found, line, empty = [], 0, True
    for match in _TOKEN.finditer(text):
        if match["skip"] is not None:
            if "\n" in match[0]:
                line, empty = match.start() + match[0].rindex("\n") + 1, True
            continue
        found.append(TlaToken(match[0], match.start(), match.start() - line, empty))
        empty = False
    return found


def definitions(text: str) -> dict[str, list[TlaToken]]:
    """The body of each definition, by its name."""
    found: dict[str, list[TlaToken]] = {}
    body: list[TlaToken] | None = None
    tokens = tokens_of(text)
    for at, token in enumerate(tokens):
        if token.first and token.column == 0:
            equals = next((i for i in range(at, min(at + 20, len(tokens))) if tokens[i].text == "=="), None)
            named = token.text.isidentifier() and token.text.isascii() and equals is not None
            inside = tokens[at + 1 : equals] if named else []
            named = named and not any(t.first and t.column == 0 for t in inside)
            body = found.setdefault(token.text, []) if named else None
            skip = equals if named else None
        if body is not None and skip is not None and at > skip:
            body.append(token)
    return found


def used_by(module: Path) -> list[Path]:
    """A module and those that it extends or instantiates, and these in turn."""
    found, left = set[Path](), [module]
    while left:
        file = left.pop()
        found.add(file)
        text = " ".join(token.text for token in tokens_of(file.read_text("utf-8")))
        names = {file.with_stem(name) for name in re.findall(r"\w+", " ".join(USING.findall(text)))}
        left += [other for other in names - found if other.is_file()]
    return sorted(found)


def mutants(model: str) -> tuple[TlaMutant, ...]:
    """Every mutant of the modules of one twin, in the order of the text, but those of `of_no_type`."""
    return tuple(mutant for mutant in _mutants(model) if not mutant.is_of_no_type)


def of_no_type(model: str) -> tuple[TlaMutant, ...]:
    """Those with a value that no type allows, as -1 in the place of a 0: for claims about types alone."""
    return tuple(mutant for mutant in _mutants(model) if mutant.is_of_no_type)


@cache
def _mutants(model: str) -> tuple[TlaMutant, ...]:
    bounding = module_of(find(model))
    files = (bounding.with_stem(bounding.stem[2:]), bounding)
    texts = {file.name: file.read_text("utf-8") for file in files}
    defined = {name: definitions(text) for name, text in texts.items()}
    used = _used(defined, bounding.with_suffix(".cfg").read_text("utf-8"))
    return tuple(m for name, text in texts.items() for m in _of_file(model, name, text, defined[name], used))


def _used(defined: dict[str, dict[str, list[TlaToken]]], config: str) -> set[str]:
    """Init, Next, what the .cfg puts in place of something, and all that these mention."""
    everything = {name: body for of in defined.values() for name, body in of.items()}
    left = [*ROOTS, *re.findall(r"<-(?:\[\w+\])?\s*(\w+)", config)]
    used: set[str] = set()
    while left:
        name = left.pop()
        if name in everything and name not in used:
            used.add(name)
            left += [token.text for token in everything[name]]
    return used


def _of_file(
    model: str, file: str, text: str, defined: dict[str, list[TlaToken]], used: set[str]
) -> Iterator[TlaMutant]:
    short = model.rpartition("/")[2]
    strings = list(
        dict.fromkeys(t.text for name in defined if name in used for t in defined[name] if t.text[0] == '"')
    )
    assigning, dropped = _assigning(defined), False
    for name, body in defined.items():
        if name not in used or not body or body[0].text == "INSTANCE":
            continue
        seen: Counter[str] = Counter()
        for what, start, end, put in mutations(text, name, body, strings):
            if what[0] == "-" and put == "TRUE" and _assigns(name, text[start:end], assigning):
                if dropped:
                    continue
                dropped = True
            seen[what] += 1
            number = f" #{seen[what]}" if seen[what] > 1 else ""
            id = f"{short}/{file}/{name}: {what}{number}"
            yield TlaMutant(id, model, file, name, text[:start] + put + text[end:])


def _assigning(defined: dict[str, list[TlaToken]]) -> set[str]:
    """The definitions that say what a variable is next, in a module and in Election, which others use."""
    election = definitions((tla_folder() / "Election.tla").read_text("utf-8"))
    return {
        name
        for name, body in (*election.items(), *defined.items())
        if any(token.text == "UNCHANGED" or token.text.endswith("'") for token in body)
    }


def _assigns(definition: str, operand: str, assigning: set[str]) -> bool:
    names = {token.text for token in tokens_of(operand)}
    return (
        definition == "Init"
        or "UNCHANGED" in names
        or any(n.endswith("'") for n in names)
        or bool(names & assigning)
    )


Mutation = tuple[str, int, int, str]  # what it is, and the new text of a stretch


def mutations(text: str, name: str, body: list[TlaToken], strings: list[str]) -> Iterator[Mutation]:
    """Of one definition."""
    yield from _dropped(text, body)
    yield from _removed(text, body)
    bound = _bound(body)
    for at, token in enumerate(body):
        yield from _token(name, body, at, strings, token in bound)
        if name == "Init":
            yield from _untyped(body, at)
    yield from _conditions(body)


# -- what is dropped ----------------------------------------------------------------------------------
def _dropped(text: str, body: list[TlaToken]) -> Iterator[Mutation]:
    for start, end, unit in operands(body):
        if body[start].text not in ("TRUE", "FALSE"):
            yield _replaced(text, body, start, end, unit, "-" + _short(text, body, start, end))


def operands(body: list[TlaToken]) -> Iterator[tuple[int, int, str]]:
    """Each operand of a conjunction or disjunction, in a list or in a line, and what it is without it."""
    for at, token in enumerate(body):
        if token.text not in ("/\\", "\\/"):
            continue
        unit = "TRUE" if token.text == "/\\" else "FALSE"
        if _is_bullet(body, at):
            yield at + 1, _end_of_item(body, at), unit
            continue
        left = _back(body, at)
        if not any(t.text == token.text for t in body[left - 1 : left]) or _is_bullet(body, left - 1):
            yield left, at, unit  # the first operand of a line
        yield at + 1, _forth(body, at + 1), unit


def _is_bullet(body: list[TlaToken], at: int) -> bool:
    """Whether a junction opens an item of an aligned list: nothing is to its left that it could join."""
    if body[at].text not in ("/\\", "\\/"):
        return False
    before = body[at - 1].text if at else ""
    return body[at].first or at == 0 or before in (*ENDS, *AROUND, "/\\", "\\/", "~")


def _end_of_item(body: list[TlaToken], bullet: int) -> int:
    """The first token after this item: on a later line and not to the right, or a closing bracket."""
    depth = 0
    for at in range(bullet + 1, len(body)):
        token = body[at]
        if token.first and token.column <= body[bullet].column:
            return at
        depth += (token.text in AROUND) - (token.text in AROUND.values())
        if depth < 0:
            return at
    return len(body)


def _back(body: list[TlaToken], at: int) -> int:
    """Where the operand to the left of a junction in a line begins."""
    depth = 0
    for i in range(at - 1, -1, -1):
        text = body[i].text
        depth += (text in AROUND.values()) - (text in AROUND)
        if depth < 0 or (depth == 0 and (text in ENDS or text in ("/\\", "\\/"))):
            return i + 1
        if (
            body[i].first
            and body[i].column < body[at].column
            and body[i].text not in ("/\\", "\\/")
            and depth == 0
        ):
            return i
    return 0


def _forth(body: list[TlaToken], at: int) -> int:
    """Where the operand that begins here ends."""
    depth, quantified = 0, False
    for i in range(at, len(body)):
        text = body[i].text
        if depth == 0 and i > at and _is_bullet(body, i) and body[i].first:
            return i
        depth += (text in AROUND) - (text in AROUND.values())
        if depth < 0:
            return i
        quantified = quantified or (depth == 0 and text in ("\\A", "\\E"))
        if depth == 0 and not quantified and text in ("/\\", "\\/", "=>", "<=>", "THEN", "ELSE", ",", "IN"):
            return i
    return len(body)


# -- what is removed ----------------------------------------------------------------------------------
def _removed(text: str, body: list[TlaToken]) -> Iterator[Mutation]:
    """EXCEPT and assignments."""
    for at, token in enumerate(body):
        if token.text == "EXCEPT":
            opening = _opening(body, at)
            function = text[body[opening + 1].start : body[at].start].strip()
            yield _replaced(
                text, body, opening, _closing(body, opening) + 1, function, f"[{function} EXCEPT→{function}"
            )
        elif token.text.endswith("'") and at + 1 < len(body) and body[at + 1].text == "=":
            variable = token.text[:-1]
            end = _end_of_assignment(body, at)
            if body[at + 2].text == "[" and "EXCEPT" in [t.text for t in body[at + 2 : at + 5]]:
                continue  # the same mutant as EXCEPT removed
            yield _replaced(text, body, at + 2, end, variable, f"{variable}' unchanged")


def _end_of_assignment(body: list[TlaToken], at: int) -> int:
    bullet = next(i for i in range(at, -1, -1) if i == 0 or _is_bullet(body, i))
    return _end_of_item(body, bullet) if _is_bullet(body, bullet) else len(body)


def _opening(body: list[TlaToken], at: int) -> int:
    depth = 0
    for i in range(at, -1, -1):
        depth += (body[i].text in AROUND.values()) - (body[i].text in AROUND)
        if depth < 0:
            return i
    raise ValueError("EXCEPT without a bracket")


def _closing(body: list[TlaToken], at: int) -> int:
    depth = 0
    for i in range(at, len(body)):
        depth += (body[i].text in AROUND) - (body[i].text in AROUND.values())
        if depth == 0:
            return i
    raise ValueError("a bracket that does not close")


# -- what is turned -----------------------------------------------------------------------------------
def _bound(body: list[TlaToken]) -> set[TlaToken]:
    r"""What is no comparison: `\in` of quantifiers, functions and sets, `=` of assignments and EXCEPT."""
    found = set()
    for at, token in enumerate(body):
        if token.text in (r"\A", r"\E", "{", "[", "CHOOSE"):
            i = at + 1
            while i < len(body) and (body[i].text.isidentifier() or body[i].text == ","):
                i += 1
            while i < len(body) and body[i].text == r"\in" and body[i - 1].text.isidentifier() and i > at + 1:
                found.add(body[i])
                end = next(
                    (j for j in range(i, len(body)) if body[j].text in (":", "|->", "->", "}", "]")), i
                )
                i = next(
                    (j for j in range(i + 1, end) if body[j].text == r"\in" and body[j - 2].text == ","),
                    len(body),
                )
        if token.text == "=" and at and (body[at - 1].text.endswith("'") or _in_except(body, at)):
            found.add(token)
    return found


def _in_except(body: list[TlaToken], at: int) -> bool:
    """Whether this `=` follows `![...]` or `!.name`."""
    if [t.text for t in body[max(0, at - 3) : at - 1]] == ["!", "."]:
        return True
    i = at - 1
    while i >= 0 and body[i].text == "]":
        i = _opening(body, i - 1) - 1
    return i >= 0 and body[i].text == "!" and i < at - 1


def _token(name: str, body: list[TlaToken], at: int, strings: list[str], bound: bool) -> Iterator[Mutation]:
    """What one token is turned into."""
    token = body[at]
    text, start, end = token.text, token.start, token.end
    init = name == "Init" and text in ("=", "#")
    if text in TURNED and not bound and not init and not (name == "Next" and text in (r"\E", r"\A")):
        turned = TURNED[text]
        yield f"{text}→{turned.strip()}", start, end, turned
    elif text == "~":
        yield "~ removed", start, end, " "
    elif text.isdigit():
        for number in (int(text) + 1, int(text) - 1):
            put = str(number) if number >= 0 else BELOW_ZERO
            yield f"{text}→{number}", start, end, put
    elif text[0] == '"' and len(strings) > 1:
        other = strings[(strings.index(text) + 1) % len(strings)]
        yield f"{text}→{other}", start, end, other
    elif name == "Init" and text in ("{", "<<") and body[at + 1].text == AROUND[text]:
        yield f"{text}{AROUND[text]}→{text}0{AROUND[text]}", start, body[at + 1].end, f"{text}0{AROUND[text]}"
    elif name == "Init" and text == "Nil":
        yield "Nil→0", start, end, "0"


def _untyped(body: list[TlaToken], at: int) -> Iterator[Mutation]:
    """A value with which nothing begins, whatever its type; of numbers this is -1.

    Nil has two, as TLC compares no set with a number: nodes may be numbers, and a quorum is a set.
    """
    text, start, end = body[at].text, body[at].start, body[at].end
    if text in ("{", "<<") and body[at + 1].text == AROUND[text]:
        whole = text + AROUND[text]
        yield f"{whole}→{text}Nil{AROUND[text]}", start, body[at + 1].end, f"{text}Nil{AROUND[text]}"
    elif text == "Nil":
        yield "Nil→{Nil}", start, end, "{Nil}"
        yield "Nil→-1", start, end, BELOW_ZERO
    elif text[0] == '"' or text in ("TRUE", "FALSE"):
        yield f"{text}→Nil", start, end, "Nil"


def _conditions(body: list[TlaToken]) -> Iterator[Mutation]:
    """Each IF, with its condition known."""
    for at, token in enumerate(body):
        if token.text == "IF":
            then = next(i for i in range(at, len(body)) if body[i].text == "THEN")
            for known in ("TRUE", "FALSE"):
                yield f"IF→{known}", body[at + 1].start, body[then - 1].end, known


# -- text ---------------------------------------------------------------------------------------------
def _replaced(text: str, body: list[TlaToken], start: int, end: int, put: str, what: str) -> Mutation:
    return what, body[start].start, body[end - 1].end, put


def _short(text: str, body: list[TlaToken], start: int, end: int) -> str:
    source = " ".join(re.sub(r"\\\*[^\n]*", "", text[body[start].start : body[end - 1].end]).split())
    return source if len(source) <= LONGEST else source[: LONGEST - 3] + "..."


def folder_of(mutant: TlaMutant, folder: Path) -> Path:
    """Write all modules to a folder, this one mutated."""
    for path in (*tla_folder().glob("*.tla"), *tla_folder().glob("*.cfg")):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / mutant.file).write_text(mutant.text, encoding="utf-8")
    return folder
