"""Histories in files: by others, with their publishers' verdicts; and files that are none."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from oneleader.cli.linearizable import linearizable
from oneleader.conformance.histories import judge
from oneleader.conformance.histories.formats import read
from oneleader.conformance.histories.objects import guessed
from oneleader.errors import UsageError

SAMPLES = Path(__file__).with_name("samples")
PUBLISHED = {
    "etcd_000.log": "violated",
    "etcd_002.log": "holds",
    "etcd_003.log": "violated",
    "etcd_005.log": "holds",
    "etcd_007.log": "holds",
    "c01-bad.txt": "violated",
    "c01-ok.txt": "holds",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_publishers_verdict(name: str) -> None:
    operations = read(SAMPLES / name)
    assert str(judge(operations, guessed(operations)).verdict) == PUBLISHED[name]


CALL = '{"client": "a", "kind": "write", "key": "x", "value": 1, "called": 0, "returned": 1}'
READ = '{"client": "b", "kind": "read", "key": "x", "result": 1, "called": 2, "returned": 3}'
INVOKE = '{"client": "a", "type": "invoke", "kind": "write", "value": 1}'
DONE = '{"client": "a", "type": "ok", "kind": "write", "value": 1}'
EDN = "{:process 0, :type :invoke, :f :write, :value 1}"
LOG = "INFO  jepsen.util - 0\t:invoke\t:read\tnil"
BAD: dict[str, tuple[str | bytes, str]] = {
    "an operation that no object has": (
        "{:process 0, :type :invoke, :f :txn, :value [[:r 1 nil]]}\n"
        "{:process 0, :type :ok, :f :txn, :value [[:r 1 [2]]]}",
        "1: 'txn' is no operation of any object known here",
    ),
    "a recording": (
        '{"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1"]}',
        ":1: this is a line of a recording, which `oneleader replay` judges",
    ),
    "empty": ("", "is empty"),
    "white": ("\n\n", "is empty"),
    "utf-16": (CALL.encode("utf-16"), ":1: this is UTF-16 or UTF-32 text: save it as UTF-8"),
    "utf-16 without a mark": (CALL.encode("utf-16-le"), ":1: this is UTF-16"),
    "gzip twice": (gzip.compress(gzip.compress(CALL.encode())), ":1: this file is packed by gzip twice"),
    "xz": (lzma.compress(CALL.encode()), ":1: this file is packed by xz: unpack it, or pack it by gzip"),
    "a crash": (f"{CALL}\n".encode() + bytes(512), ":2: this line holds NUL bytes"),
    "two on a line": (f"{CALL} {READ}\n", ":1: several objects stand on this line"),
    "other ends of lines": (f"{CALL}\r{READ}\r", ":1: several objects stand on this line"),
    "a key twice": (CALL.replace('"key"', '"kind"'), ":1: the key 'kind' stands twice"),
    "deep": (CALL + "\n" + "[" * 100_000 + "\n", ":2: this nests deeper than can be read"),
    "many digits": (CALL.replace("0", "9" * 5_000), ":1: this has a number with more digits"),
    "a JSON list": (f"[\n {CALL}\n]", "is one JSON list: write its objects each on a line"),
    "latin-1": (CALL.encode() + b"\n\xe9", ":2: this is no UTF-8 text"),
    "half a gzip": (gzip.compress(CALL.encode())[:-9], "cut off gzip"),
    "cut off": (CALL + "\n" + READ[:30], ":2: the file is cut off here"),
    "cut off EDN": ("[" + EDN + "\n" + EDN[:20], "cut off"),
    "mixed": (CALL + "\n" + INVOKE, ":2: .* are mixed"),
    "EDN after JSON": (f"{CALL}\n{EDN}\n", ":2: a line of edn in a history of the format jsonl: judge each"),
    "JSON after EDN": (f"{EDN}\n{CALL}\n", ":2: a line of jsonl in a history of the format edn"),
    "a log after JSON": (f"{CALL}\n{LOG}\n", ":2: a line of etcd-log in a history of the format jsonl"),
    "JSON after a log": (f"{LOG}\n{CALL}\n", ":2: a line of jsonl in a history of the format etcd-log"),
    "no JSON": (f"{CALL}\n{READ[:30]}\n{READ}\n", ":2: this is no JSON, at column"),
    "a strange key": (CALL.replace("returned", "retuned"), ":1: 'retuned' is not known here"),
    "backwards": (CALL.replace('"returned": 1', '"returned": -1'), ":1: this returned at -1, before"),
    "two at once": (CALL + "\n" + CALL, ":2: client a calls while its call of line 1"),
    "two calls": (INVOKE + "\n" + INVOKE, ":2: client a calls while its call of line 1"),
    "a completion too many": (f"{INVOKE}\n{DONE}\n{DONE}", ":3: a completion of client a, which has no call"),
    "another value": (f"{INVOKE}\n{DONE.replace('1', '2')}", ":2: line 1 called write 1, this completes 2"),
    "another cas": (
        "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0\t:fail\t:cas\t[1 3]\n",
        r":2: line 1 called cas \[1, 2\], this completes \[1, 3\]",
    ),
    "another kind": (
        f"{INVOKE}\n{DONE.replace('write', 'read')}",
        ":2: this completes read, but line 1 called write",
    ),
    "a write of true that completes a write of 1": (
        f"{INVOKE}\n{DONE.replace('1', 'true')}",
        ":2: line 1 called write 1, this completes true",
    ),
    "a write of nothing": (INVOKE.replace(', "value": 1', ""), ":1: this write has no value"),
    "a write of nothing, whole": (CALL.replace(' "value": 1,', ""), ":1: this write has no 'value'"),
    "a read of nothing": (READ.replace(' "result": 1,', ""), ":1: this read returned and has no 'result'"),
    "a read of nothing, completed": (
        "{:process 0, :type :invoke, :f :read, :value nil} {:process 0, :type :ok, :f :read}",
        ":1: this completes a read and has no value: null stands for none",
    ),
    "a read that was called with another value": (
        "{:process 0, :type :invoke, :f :read, :value 2}\n{:process 0, :type :ok, :f :read, :value 1}",
        ":2: line 1 called read 2, this completes 1",
    ),
    "a completed cas without its values": (
        "{:process 0, :type :invoke, :f :cas, :value [1 2]}\n{:process 0, :type :ok, :f :cas, :value 1}",
        r":2: line 1 called cas \[1, 2\], this completes 1",
    ),
    "a cas that expects nothing": (
        '{"client": "a", "kind": "cas", "value": 1, "result": true, "called": 0, "returned": 1}',
        ":1: this cas has no 'expected'",
    ),
    "an etcd log whose write is cut off": (
        f"{LOG}\nINFO  jepsen.util - 1\t:invoke\t:write\n",
        ":2: this write has no value",
    ),
    "one of Jepsen's independent reads without its key": (
        "{:process 0, :type :invoke, :f :read, :value [1 nil]}\n"
        "{:process 1, :type :invoke, :f :read, :value nil}",
        r":2: values of this history are \[key value\], and this one is null",
    ),
    "operations that are not in their order": (
        "{:process 0, :type :invoke, :f :read, :value nil, :index 1}\n"
        "{:process 0, :type :ok, :f :read, :value 1, :index 0}",
        ":2: the :index goes from 1 to 0: sort the operations by it",
    ),
    "two histories": (f"[{EDN}]\n[{EDN}]", ":2: a second history begins here"),
    "unknown": ("hello", "the format is not known"),
    "no map": ("[1 2]", ":1: here stands 1: a history is made of maps"),
    "no map after one": (
        f"{EDN}\n17\n",
        ":1: after the map of this line comes 17: a history is made of maps",
    ),
    "many digits in EDN": (EDN.replace("1}", "1" * 5_000 + "}"), ":1: this is a number with more digits"),
    "a client that is none": (CALL.replace('"a"', "null"), ":1: 'client' is a name or a number, not null"),
    "a key that is none": (CALL.replace('"x"', "[1]"), r":1: 'key' is a name or a number, not \[1\]"),
    "a type": (EDN.replace("invoke", "begin"), ":1: 'begin' is not one of"),
    "a type that is none": (EDN.replace(":invoke", "true"), ":1: 'true' is not one of"),
    "no f": ("{:process 0, :type :invoke}", ":1: this operation has no :f"),
    "etcd": ("INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO", ":2: no line of an etcd log"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(name: str, tmp_path: Path) -> None:
    content, said = BAD[name]
    file = tmp_path / "history"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=said):
        read(file)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_history_that_is_too_long_for_memory(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "history"
    file.write_bytes(pack(CALL.encode()))
    assert read(file)
    monkeypatch.setattr("oneleader.conformance.histories.formats.MOST_BYTES", len(CALL) - 1)
    with pytest.raises(UsageError, match="is too long: a history is held in memory"):
        read(file)


@pytest.mark.parametrize(("said", "status"), [("1", 0), ("2", 1)])
def test_the_command(said: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "history.jsonl.gz"
    file.write_bytes(gzip.compress(f"{CALL}\n{READ.replace('1', said, 1)}".encode()))
    args = [str(file), str(SAMPLES / "c01-ok.txt"), "--json"]
    assert linearizable.main(args, standalone_mode=False) == status
    rows = json.loads(capsys.readouterr().out)
    assert [row["verdict"] for row in rows] == ["holds" if status == 0 else "violated", "holds"]
    assert [row["model"] for row in rows] == ["register", "key-value"]


@pytest.mark.parametrize(
    "strange", ['"kind": "txn"', '"kind": "write", "value": {"a": 1}', '"kind": "write", "value": 1e400']
)
def test_the_command_refuses_with_the_line(
    strange: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(CALL + "\n" + '{"client": "b", ' + strange + ', "called": 5, "returned": 6}')
    assert linearizable.main([str(file)], standalone_mode=False) == 2
    assert "history.jsonl:2: " in capsys.readouterr().err


@pytest.mark.parametrize(("said", "status"), [("1", 2), ("2", 1)])
def test_a_bad_file_loses_nothing_of_the_others(
    said: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is no history outranks all but a violation, which stays one."""
    first, empty, last = (tmp_path / name for name in ("first.jsonl", "empty.log", "last.jsonl"))
    first.write_text(f"{CALL}\n{READ}")
    empty.write_text("")
    last.write_text(f"{CALL}\n{READ.replace('1', said, 1)}")
    files = [str(file) for file in (first, empty, tmp_path / "absent", last)]
    assert linearizable.main([*files, "--json"], standalone_mode=False) == status
    shown = capsys.readouterr()
    rows = json.loads(shown.out)
    verdicts = ["holds", None, None, "holds" if status == 2 else "violated"]
    assert [row.get("verdict") for row in rows] == verdicts
    for bad, said_of_it in ((rows[1], "is empty"), (rows[2], "cannot be read: No such file")):
        assert f"{bad['file']} {said_of_it}" in bad["error"]
        assert bad["error"] in shown.err


def test_jepsens_independent_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.edn"
    rows = ["invoke :f :write :value [1 5]", "ok :f :write :value [1 5]", "invoke :f :read :value [2 nil]"]
    rows.append("ok :f :read :value [2 nil]")
    file.write_text("\n".join(f"{{:process 0 :type :{row}}}" for row in rows))
    assert [(o.key, o.value, o.result) for o in read(file)] == [("1", 5, None), ("2", None, None)]


def test_values_are_shown_as_histories_write_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "set.edn"
    asked = "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :read, :value "
    for value, shown in (("#{2 1}", "{1, 2}"), ("[[1 nil] true]", "[[1, null], true]")):
        added = "{:process 0, :type :invoke, :f :add, :value 3}\n{:process 0, :type :ok, :f :add, :value 3}"
        file.write_text(f"{added}\n{asked}{value}}}")
        assert linearizable.main([str(file), "--model=set"], standalone_mode=False) == 1
        assert f"read -> {shown}" in capsys.readouterr().out


def judged(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "history.edn"
    path.write_text("\n".join(lines))
    operations = read(path)
    return str(judge(operations, guessed(operations)).verdict)


def test_a_string_is_no_keyword(tmp_path: Path) -> None:
    """As in Clojure. Both were the same text here."""
    write = [
        '{:process 0, :type :invoke, :f :write, :value "a"}',
        '{:process 0, :type :ok, :f :write, :value "a"}',
    ]
    asks = "{:process 1, :type :invoke, :f :read, :value nil}"
    assert judged(tmp_path, *write, asks, '{:process 1, :type :ok, :f :read, :value "a"}') == "holds"
    assert judged(tmp_path, *write, asks, "{:process 1, :type :ok, :f :read, :value :a}") == "violated"


@pytest.mark.parametrize(("read", "verdict"), [("1", "holds"), ("1.0", "violated"), ("[1]", "violated")])
def test_a_whole_number_with_a_point_is_another_in_edn(tmp_path: Path, read: str, verdict: str) -> None:
    """As in Clojure, where (= 1 1.0) is false. In JSON there are numbers only, and both are one."""
    write = [
        "{:process 0, :type :invoke, :f :write, :value 1}",
        "{:process 0, :type :ok, :f :write, :value 1}",
    ]
    asks = "{:process 1, :type :invoke, :f :read, :value nil}"
    assert judged(tmp_path, *write, asks, f"{{:process 1, :type :ok, :f :read, :value {read}}}") == verdict
    lines = [CALL, READ.replace('"result": 1', f'"result": {read}')]
    assert judged(tmp_path, *lines) == ("violated" if read == "[1]" else "holds")


def test_a_client_by_name_is_no_nemesis(tmp_path: Path) -> None:
    """Whoever had a name was left out without a word."""
    asks = [
        "{:process :bob, :type :invoke, :f :read, :value nil}",
        "{:process :bob, :type :ok, :f :read, :value 7}",
    ]
    breaks = "{:process :nemesis, :type :info, :f :start, :value nil}"
    assert judged(tmp_path, breaks, *asks) == "violated"


def test_mutexes_by_key_are_judged_apart(tmp_path: Path) -> None:
    """Nobody reads there; an acquire is called with [key nil]."""
    lines = [
        f"{{:process {process}, :type {of}, :f :acquire, :value [{key} nil]}}"
        for process, key in ((0, 1), (1, 2))
        for of in (":invoke", ":ok")
    ]
    assert judged(tmp_path, *lines) == "holds"
    assert judged(tmp_path, *lines, *(line.replace("[1", "[2") for line in lines[:2])) == "violated"


def test_a_write_that_timed_out_may_have_been_done(tmp_path: Path) -> None:
    """Whatever an etcd log calls it, as of a cas."""
    path = tmp_path / "etcd.log"
    said = [
        "0\t:invoke\t:write\t1",
        "0\t:fail\t:write\t:timed-out",
        "1\t:invoke\t:read\tnil",
        "1\t:ok\t:read\t1",
    ]
    path.write_text("".join(f"INFO  jepsen.util - {line}\n" for line in said))
    assert str(judge(read(path)).verdict) == "holds"
