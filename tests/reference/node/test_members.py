"""Members come and go while a cluster runs: by the API, by the command, and what each refusal says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oneleader.cli.node import node as command
from oneleader.errors import UsageError
from oneleader.readers.replay.formats import node_folders as recorded
from oneleader.verdict import HOLDS
from oneleader_raft import raft
from oneleader_raft.lease import Round
from oneleader_raft.node.client import Client
from oneleader_raft.node.local import HOST, LocalCluster
from oneleader_raft.node.members import ChangeRefusedError, wanted
from oneleader_raft.raft import Node, Progress, initial
from tests.reference.node.test_api import Http, Server, answer, with_node


def asked(cluster: LocalCluster, *words: str) -> Result:
    """`oneleader node ...` of the followers, which send it to the leader."""
    leader = cluster.leader()
    apis = [
        w
        for id in cluster.apis
        if id != leader and cluster.is_running(id)
        for w in ("--api", cluster.apis[id])
    ]
    return CliRunner().invoke(command, [*words, *apis], standalone_mode=False)


PATIENT = ("--promise-ms", "1500", "--heartbeat-ms", "100")  # a busy machine changes no leader


def begun(cluster: LocalCluster, id: str) -> str:
    """Start a node that is to join, and wait until it answers: where it is reached."""
    place = cluster.place(id)
    cluster.start(id)
    until(lambda: cluster.status(id), 60)
    return place


def until(what: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_cluster_is_replaced_node_by_node(clusters: Callable[..., LocalCluster]) -> None:
    """One is added, one replaced, the leader removed; what was written is read from those that are left, and
    what the nodes did is judged up to the first change."""
    cluster = clusters(options=(*PATIENT, "--compact-after", "30"))
    cluster.start()
    leader = cluster.leader()
    with Client(list(cluster.apis.values()), deadline=30) as client:
        for number in range(80):
            assert client.put(f"k{number % 40}", number)
        place = begun(cluster, "n4")
        waits_to_be_added_and_is_not_let_in(cluster, "n4")
        added = asked(cluster, "add", f"n4={place}")
        assert (added.exit_code, added.return_value) == (0, 0), added.output
        assert f"n4       {place}" in added.output
        until(lambda: (cluster.status("n4") or {}).get("members") == ["n1", "n2", "n3", "n4"])

        broken = next(id for id in cluster.members if id != leader)
        cluster.kill(broken)
        place = begun(cluster, "n5")
        replaced = asked(cluster, "replace", broken, f"n5={place}")
        assert replaced.return_value == 0, replaced.output
        assert broken not in replaced.output

        leader = cluster.leader()
        removed = asked(cluster, "remove", leader)
        assert removed.return_value == 0, removed.output
        left = {"n1", "n2", "n3", "n4", "n5"} - {broken, leader}
        cluster.kill(leader)
        assert cluster.leader() in left

    with Client([cluster.apis[id] for id in sorted(left)], deadline=30) as client:
        assert [client.get(f"k{i}") for i in range(40)] == list(range(40, 80))
        assert client.put("after", "v")
    until(lambda: all((cluster.status(id) or {}).get("members") == sorted(left) for id in left))
    cluster.stop()
    assert all("Traceback" not in path.read_text() for path in cluster.folder.glob("*.log"))
    for judging in recorded.judge(cluster.folder, ["election", "pre_vote", "replication", "lease"]):
        assert judging.result.verdict is HOLDS, judging.result.summary()


def test_a_backup_becomes_a_new_cluster(clusters: Callable[..., LocalCluster], tmp_path: Path) -> None:
    """What it had is there; tokens go on beyond all that was granted since; nodes of the old one stay out."""
    old, file = clusters(tmp_path / "old", options=PATIENT, trace=False), tmp_path / "backup"
    old.start()
    with Client(list(old.apis.values()), "c", deadline=30) as client:
        for number in range(20):
            assert client.put(f"k{number}", number)
        held = client.acquire("lock", 60_000)
        saved = asked(old, "backup", str(file))
        assert "22 items" in saved.output  # the keys, the lock, the client
        assert client.release("lock", held.token)
        later = client.acquire("lock", 60_000)
        assert client.put("lost", "v")
    assert not list(old.folder.glob("*.backup-*"))

    def restored(path: Path, *words: str) -> Result:
        words = (*words, "--id", "m1", "--data", str(tmp_path / "new"))
        return CliRunner().invoke(command, ["restore", str(path), *words], standalone_mode=False)

    whole = file.read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-80])
    assert "is damaged" in str(restored(tmp_path / "cut").exception)
    assert restored(file).return_value == 0
    assert "is there already" in str(restored(file).exception)
    new = clusters(tmp_path / "new", nodes=1, options=PATIENT, trace=False, names="m")
    new.start()
    place = begun(new, "m2")
    assert asked(new, "add", f"m2={place}", "--api", new.apis["m1"]).return_value == 0
    with Client(list(new.apis.values()), deadline=30) as client:
        assert [client.get(f"k{number}") for number in range(20)] == list(range(20))
        assert client.get("lost") is None, "it was written after the backup"
        assert client.release("lock", held.token)
        assert client.acquire("lock", 60_000).token > later.token
    assert old.leader() in old.members


def waits_to_be_added_and_is_not_let_in(cluster: LocalCluster, id: str) -> None:
    """A node that was started with --join, before anybody has added it."""
    log = cluster.folder / f"{cluster.leader()}.log"
    refused = f"'{id}' is not another member of this cluster: add it with `oneleader node add`"
    until(lambda: refused in log.read_text())
    said = cluster.status(id)
    assert said is not None
    assert (said["term"], said["role"], said["last"]) == (0, "follower", 0)
    silent = asked(cluster, "add", f"n9={HOST}:1")
    assert silent.return_value == 1
    assert silent.output == f"n9 does not answer at {HOST}:1: start it with --join before\n"
    assert asked(cluster, "list").output.count("\n") == 3


NODE = Node("n1", initial(("n1", "n2", "n3")))


@pytest.mark.parametrize(
    ("join", "leave", "says"),
    [
        ((), (), "nobody is to join, and nobody to leave"),
        (("n2",), (), "n2 is a member already"),
        ((), ("n9",), "n9 is no member: the members are n1 n2 n3"),
    ],
)
def test_what_makes_no_sense_is_refused(join: Any, leave: Any, says: str) -> None:
    with pytest.raises(ChangeRefusedError, match=says):
        wanted(NODE, join, leave)
    assert wanted(NODE, ("n4",), ("n2",)) == ("n1", "n3", "n4")


def test_refusals_by_the_api(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        where = "/v1/members"
        place = f"{HOST}:{server.settings.peers['n1'][1]}"
        assert await answer(http, "GET", where) == (200, {"members": {"n1": place}})
        for body, status, says in (
            ({}, 409, "nobody is to join, and nobody to leave"),
            ({"join": {"n1": "h:1"}}, 409, "n1 is a member already"),
            ({"leave": ["n2"]}, 409, "n2 is no member: the members are n1"),
            ({"leave": ["n1"]}, 409, "somebody has to be a member"),
            ({"join": {"../n": "h:1"}}, 400, "a node's name has up to 64 letters, digits, '.', '_' and '-'"),
            ({"join": {"n2": "h"}}, 400, "where a node is reached is of the form HOST:PORT"),
            ({"join": {"n2": "h:0"}}, 400, "where a node is reached is of the form HOST:PORT"),
            ({"join": ["n2"]}, 400, "join is an object: of each node's name, where peers reach it"),
            ({"leave": "n1"}, 400, "leave is a list of nodes' names"),
            ({"add": "n1"}, 400, "the body says 'add', which is not known"),
        ):
            assert await answer(http, "POST", where, body) == (status, {"error": says})
        assert server.node.last_index == 1, "nothing was written"

    with_node(tmp_path, test)


def test_a_follower_does_not_change_the_members(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        says = "no leader is known to this node"
        assert await answer(http, "POST", "/v1/members", {"leave": ["n2"]}) == (503, {"error": says})
        assert await told(http, ["remove", "n2"]) == (3, says)
        assert server.node.members == ("n1", "n2", "n3")

    with_node(tmp_path, test, {"n2": (HOST, 1), "n3": (HOST, 1)})


def test_one_change_at_a_time(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        first = asyncio.create_task(answer(http, "POST", "/v1/members", {"join": {"n2": f"{HOST}:1"}}))
        while not server.machine.addresses:
            await asyncio.sleep(0.01)
        assert await answer(http, "POST", "/v1/members", {"join": {"n3": f"{HOST}:1"}}) == (
            409,
            {"error": "another change of members is under way"},
        )
        pending = 1, "another change of members is under way"
        assert await told(http, ["add", f"n3={HOST}:1"]) == pending
        assert not first.done()
        first.cancel()

    with_node(tmp_path, test)


BAD_CHANGES: list[tuple[list[str], int, str]] = [
    (["add", "n1=h:1"], 1, "n1 is a member already"),
    (["replace", "n1", "n1=h:1"], 1, "n1 is a member already"),
    (["replace", "n9", "n2=h:1"], 1, "n9 is no member: the members are n1"),
    (["remove", "n9"], 1, "n9 is no member: the members are n1"),
    (["remove", "n1"], 1, "somebody has to be a member"),
    (["add", f"n2={HOST}:1"], 1, "of n1 n2 no majority would be up: nothing was heard of n2"),
    (["add", "../n=h:1"], 2, "a node's name has up to 64 letters, digits, '.', '_' and '-'"),
]


def test_refusals_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence, and nothing is written. A server that is silent is one that the leader knows."""

    def with_silent_n2(node: Node, members: tuple[str, ...], now: int) -> str:
        progress = {"n2": Progress(1, acknowledged=Round(1, 0))}
        leadership = replace(node.leadership, since=0, progress=progress)
        return correct(replace(node, leadership=leadership), members, 10**12)

    correct = raft.why_unchangeable
    monkeypatch.setattr(raft, "why_unchangeable", with_silent_n2)

    async def test(http: Http, server: Server) -> None:
        for words, status, says in BAD_CHANGES:
            assert await told(http, words) == (status, says)
        assert server.node.last_index == 1, "nothing was written"
        assert server.node.members == ("n1",)

    with_node(tmp_path, test)


async def told(http: Http, words: list[str]) -> tuple[int, str]:
    """The status and the sentence of `oneleader node ...`, asked of this node."""
    asked = [*words, "--api", str(http.make_url("/")).rstrip("/"), "--seconds", "5"]

    def run() -> tuple[int, str]:
        try:
            said = CliRunner().invoke(command, asked, standalone_mode=False, catch_exceptions=False)
        except UsageError as error:
            return 2, str(error)
        return said.return_value, said.output.rstrip("\n")

    return await asyncio.to_thread(run)


NOWHERE = ["nowhere", "http://", "ftp://h", "http://h:99999", "http://h h", "http://a..b", "http://\udcff"]


@pytest.mark.parametrize("api", NOWHERE)
def test_an_address_that_is_none_is_said_to_be_none(api: str) -> None:
    with pytest.raises(UsageError, match="is not of the form http://HOST:PORT"):
        CliRunner().invoke(command, ["list", "--api", api], standalone_mode=False, catch_exceptions=False)


def test_bad_use_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(128, 160)))
    (tmp_path / "lines").write_text("a\nb")
    cases = [
        (["add", "n4"], "'n4' is not of the form NAME=HOST:PORT"),
        (["list", "--seconds", "nan"], "--seconds is a number from 0.1 to 60"),
        (["list", "--token-file", str(tmp_path / "binary")], "--token-file holds no token"),
        (["list", "--token-file", str(tmp_path / "lines")], "--token-file holds no token"),
    ]
    for words, says in cases:
        asked = [*words, "--api", f"http://{HOST}:1"]
        with pytest.raises(UsageError, match=says):
            CliRunner().invoke(command, asked, standalone_mode=False, catch_exceptions=False)


ODD: list[tuple[int, dict[str, str], bytes]] = [
    (200, {}, b"<html>"),
    (200, {}, b"[1]"),
    (200, {}, b"{}"),
    (200, {}, b'{"members": [1]}'),
    (200, {}, b"\xff\xfe"),
    (200, {}, b"[" * 100_000),
    (200, {}, b'{"members": ' + b"9" * 5000 + b"}"),
    (200, {"Content-Length": "100"}, b'{"members": {}'),
    (204, {}, b""),
    (307, {"Location": ""}, b'{"error": "elsewhere"}'),
    (307, {"Location": "/v1/members"}, b'{"error": "elsewhere"}'),
    (307, {"Location": "file:///etc/passwd"}, b'{"error": "elsewhere"}'),
    (400, {}, b'{"error": ["x"]}'),
    (409, {}, b'{"error": 5}'),
    (500, {}, b"no"),
]


def test_what_is_no_node_is_not_believed(tmp_path: Path) -> None:
    """Whatever answers there: status 3, one sentence, and no file."""
    said = ODD[0]

    class Something(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = said
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer((HOST, 0), Something) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = f"http://{HOST}:{server.server_port}"
        for said in ODD:
            for words in (["list"], ["add", "n4=h:1"], ["backup", str(tmp_path / "file")]):
                told = CliRunner().invoke(
                    command, [*words, "--api", api], standalone_mode=False, catch_exceptions=False
                )
                assert (told.return_value, told.output.count("\n")) == (3, 1), (said, words, told.output)
        server.shutdown()
    assert not list(tmp_path.iterdir())
