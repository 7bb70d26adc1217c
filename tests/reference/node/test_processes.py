"""Nodes as processes: what they refuse to start with, TLS between them, and `oneleader cluster`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from oneleader.errors import UsageError
from oneleader_raft.node.client import AsyncClient, Client, RefusedError, UnknownOutcomeError, Value
from oneleader_raft.node.local import HOST, MODULE, LocalCluster, free_ports

CLI = (sys.executable, "-c", "from oneleader.cli.main import main; main()")
PEERS = f"n1={HOST}:1,n2={HOST}:2"


def node(folder: Path, **options: str) -> subprocess.CompletedProcess[str]:
    said = {
        "id": "n1",
        "peers": PEERS,
        "listen": f"{HOST}:0",
        "api": f"{HOST}:0",
        "data": str(folder),
    } | options
    words = [word for name, value in said.items() for word in (f"--{name.replace('_', '-')}", value)]
    command = (sys.executable, "-m", "oneleader_raft.node", *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_bad_arguments_are_one_sentence_each(tmp_path: Path) -> None:
    """One process tells them all: starting one takes most of a second."""
    (tmp_path / "short").write_text("too short")
    (tmp_path / "binary").write_bytes(bytes(range(128, 160)))
    (tmp_path / "pem").write_text("no certificate")
    pem = str(tmp_path / "pem")
    cases = [
        ({"id": "n9"}, "--id n9 is not one of --peers: n1, n2"),
        ({"peers": "n1"}, "'' is not of the form HOST:PORT"),
        ({"peers": f"n1={HOST}:{'1' * 5000}"}, "is not of the form HOST:PORT"),
        ({"api": f"{HOST}:\uff18"}, "is not of the form HOST:PORT"),
        ({"advertise_api": "a b/c?d:80"}, "'a b/c?d:80' is not of the form HOST:PORT"),
        ({"cluster": ""}, "--cluster is a name of 1 to 200 characters"),
        ({"cluster": "x" * 5000}, "--cluster is a name of 1 to 200 characters"),
        ({"id": "../n", "peers": f"../n={HOST}:1"}, "--peers names '../n': a name has up to 64 letters"),
        ({"listen": "0.0.0.0:0"}, "0.0.0.0 can be reached from other machines, and without a secret"),
        ({"api": "0.0.0.0:0"}, "clients cannot be sent to 0.0.0.0: give --advertise-api HOST:PORT"),
        ({"peers": f"{PEERS},n1={HOST}:3"}, "--peers names 'n1' twice"),
        ({"api": "8000"}, "'8000' is not of the form HOST:PORT"),
        ({"heartbeat_ms": "300"}, "--heartbeat-ms is positive, and less than --promise-ms"),
        ({"drift": "1000"}, "--drift is from 0 to 999 thousandths"),
        ({"promise_ms": "soon"}, "argument --promise-ms: invalid int value: 'soon'"),
        ({"secret_file": str(tmp_path / "short")}, "a secret or token has 16 bytes at the least"),
        ({"secret_file": str(tmp_path / "none")}, "No such file or directory"),
        ({"tls_cert": pem}, "--tls-cert, --tls-key and --tls-ca belong together"),
        ({"tls_cert": pem, "tls_key": pem, "tls_ca": pem}, "TLS cannot be set up with these files"),
        ({"tls_cert": "/none", "tls_key": pem, "tls_ca": pem}, "cannot use /none: No such file or directory"),
        ({"api_tls_cert": pem}, "--api-tls-cert and --api-tls-key belong together"),
        ({"api_tls_cert": pem, "api_tls_key": pem}, "TLS cannot be set up with these files"),
        ({"token_file": str(tmp_path / "short")}, "a secret or token has 16 bytes at the least"),
        ({"token_file": str(tmp_path / "binary")}, "a token is one line of printable ASCII"),
        ({"compact_after": "0"}, "--compact-after is a number of entries, 1 at the least"),
        ({"wrong": "1"}, "unrecognized arguments: --wrong 1"),
    ]
    script = "\n".join(
        [
            "import contextlib, io, json, sys",
            "from oneleader_raft.node.__main__ import main",
            "for line in sys.stdin:",
            "    with contextlib.redirect_stderr(io.StringIO()) as said:",
            "        status = main(json.loads(line))",
            "    print(json.dumps([status, said.getvalue()]))",
        ]
    )
    usual = {
        "id": "n1",
        "peers": PEERS,
        "listen": f"{HOST}:0",
        "api": f"{HOST}:0",
        "data": str(tmp_path / "d"),
    }
    asked = [
        json.dumps([w for name, v in (usual | given).items() for w in (f"--{name.replace('_', '-')}", v)])
        for given, _ in cases
    ]
    told = subprocess.run(
        (sys.executable, "-c", script), input="\n".join(asked), capture_output=True, text=True, timeout=30
    )
    answers = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(answers) == len(cases), told.stderr
    for (given, sentence), (status, said) in zip(cases, answers, strict=True):
        assert (status, said.count("\n"), sentence in said) == (2, 1, True), (given, said)
    assert not (tmp_path / "d").exists()


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as busy:
        where = f"{HOST}:{busy.getsockname()[1]}"
        ended = node(tmp_path / "d", api=where)
    assert ended.returncode == 2
    assert ended.stderr == f"oneleader node: cannot listen at {where}: Address already in use\n"


def certificates(folder: Path, *ids: str) -> None:
    """An authority, and a certificate for these nodes that it signed."""
    if not shutil.which("openssl"):
        if os.environ.get("CI"):
            pytest.fail("openssl is missing")
        pytest.skip("install openssl")

    def openssl(*words: str) -> None:
        subprocess.run(("openssl", *words), cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj")
    openssl("req", "-x509", *key, "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2")
    openssl("req", *key, "/CN=node", "-keyout", "node.key", "-out", "node.csr")
    (folder / "names").write_text("subjectAltName=" + ",".join(f"DNS:{id}" for id in ids) + ",IP:127.0.0.1")
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", "node.pem")
    openssl("x509", "-req", "-in", "node.csr", "-extfile", "names", *sign)


def test_tls_and_a_stranger(tmp_path: Path, clusters: Callable[..., LocalCluster]) -> None:
    """Members speak TLS; who has no certificate of the authority, or not the secret, is refused."""
    certificates(tmp_path, "n1", "n2", "n3")
    (tmp_path / "secret").write_text("what members of this cluster know")
    tls = [
        w
        for n, f in (("cert", "node.pem"), ("key", "node.key"), ("ca", "ca.pem"))
        for w in (f"--tls-{n}", str(tmp_path / f))
    ]
    cluster = clusters(options=(*tls, "--secret-file", str(tmp_path / "secret")))
    cluster.start()
    cluster.leader()
    with Client(list(cluster.apis.values())) as client:
        assert client.put("k", "v")
    with socket.create_connection(cluster.addresses["n1"], timeout=5) as plain:
        plain.sendall(b"1L\x03\x00\x00\x00\x00\x05hello" + bytes(16))
        plain.settimeout(10)
        said = plain.recv(100)
        assert not said.startswith(b"1L")
    (tmp_path / "wrong").write_text("a guess of what members know")
    leader = cluster.leader()
    stranger = next(id for id in cluster.members if id != leader)
    cluster.kill(stranger)
    cluster.options = (*tls, "--trace", "--secret-file", str(tmp_path / "wrong"))
    cluster.start(stranger)
    until = time.monotonic() + 15
    log = cluster.folder / f"{leader}.log"
    while "does not know the cluster's secret" not in log.read_text():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)
    said_of_it = cluster.status(stranger)
    assert said_of_it is None or said_of_it["connected"] == []


def test_clients_show_a_token_and_speak_tls(tmp_path: Path, clusters: Callable[..., LocalCluster]) -> None:
    """Any node may be asked; it sends them to the leader's https address."""
    certificates(tmp_path, "localhost")
    (tmp_path / "token").write_text("a token for clients\n")
    files = (("api-tls-cert", "node.pem"), ("api-tls-key", "node.key"), ("token-file", "token"))
    cluster = clusters(options=[w for n, f in files for w in (f"--{n}", str(tmp_path / f))], trace=False)
    cluster.start()
    apis = [api.replace("http:", "https:") for api in cluster.apis.values()]
    shown = {
        "token": "a token for clients",
        "tls": ssl.create_default_context(cafile=str(tmp_path / "ca.pem")),
    }
    for number, api in enumerate(apis):
        with Client([api], deadline=30, **shown) as client:
            assert client.put("k", number)

    async def read() -> Value:
        async with AsyncClient(apis, deadline=30, **shown) as client:
            return await client.get("k")

    assert asyncio.run(read()) == 2
    for token in ("", "another token for clients"):
        with (
            Client(apis, token=token, tls=shown["tls"]) as client,
            pytest.raises(RefusedError, match="a token"),
        ):
            client.get("k")
    in_plain = list(cluster.apis.values())
    with Client(in_plain, deadline=1) as client, pytest.raises(UnknownOutcomeError):
        client.get("k")
    from oneleader.cli.node import node as command

    how = ["--api", apis[1], "--ca", str(tmp_path / "ca.pem")]
    listed = CliRunner().invoke(command, ["list", *how, "--token-file", str(tmp_path / "token")])
    assert listed.output.count("\n") == 3, listed.output
    with pytest.raises(UsageError, match="a token"):
        CliRunner().invoke(command, ["list", *how], catch_exceptions=False)
    with urllib.request.urlopen(f"{apis[0]}/ready", context=shown["tls"], timeout=10) as ready:
        assert ready.status == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{apis[0]}/metrics", context=shown["tls"], timeout=10)
    assert (refused.value.code, refused.value.headers["WWW-Authenticate"]) == (401, "Bearer")


def said_in(log: Path, words: str, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while words not in log.read_text():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


def test_a_certificate_is_of_its_node_alone(tmp_path: Path, clusters: Callable[..., LocalCluster]) -> None:
    certificates(tmp_path, "n1", "n2")
    files = (("cert", "node.pem"), ("key", "node.key"), ("ca", "ca.pem"))
    tls = [w for n, f in files for w in (f"--tls-{n}", str(tmp_path / f))]
    cluster = clusters(options=tls)
    cluster.start()
    said_in(cluster.folder / "n1.log", "n3 shows a certificate of n1, n2, node")
    assert cluster.leader() in ("n1", "n2")


def test_a_node_that_was_wiped_is_not_let_in(clusters: Callable[..., LocalCluster]) -> None:
    """It may have voted and acknowledged. Both sides say why, and the others go on."""
    cluster = clusters()
    cluster.start()
    leader = cluster.leader()
    wiped, other = (id for id in cluster.members if id != leader)
    said_in(cluster.folder / f"{wiped}.log", f'"connected", "peer": "{leader}"')
    said_in(cluster.folder / f"{leader}.log", f'"connected", "peer": "{wiped}"')
    cluster.kill(wiped)
    for file in cluster.folder.glob(f"{wiped}.*"):
        file.unlink()
    cluster.start(wiped)
    why = f"{wiped} has another store than the one {leader} knows"
    said_in(cluster.folder / f"{leader}.log", why)
    said_in(cluster.folder / f"{wiped}.log", f"refused by the other node: {why}")
    assert cluster.leader() in (leader, other)
    said_of_it = cluster.status(wiped, 10)
    assert said_of_it is not None
    assert (said_of_it["connected"], said_of_it["term"]) == ([], 0)


def test_a_leader_that_is_stopped_hands_over(clusters: Callable[..., LocalCluster]) -> None:
    cluster = clusters()
    cluster.start()
    leader = cluster.leader()
    with Client(list(cluster.apis.values())) as client:
        assert client.put("k", "v")
    cluster.processes[leader].terminate()
    assert cluster.processes[leader].wait(20) == 0
    heir = cluster.leader()
    trace = [json.loads(line) for line in (cluster.folder / f"{heir}.trace.jsonl").read_text().splitlines()]
    assert [line for line in trace if line.get("event") == "receive TimeoutNow"], trace[-3:]


def test_the_command_cluster(tmp_path: Path) -> None:
    """It starts, says in plain lines who leads, stops on Ctrl-C, and is judged as it runs and afterwards."""
    folder = tmp_path / "cluster"
    follow = (*CLI, "replay", "--follow", str(folder))
    command = (*CLI, "cluster", "--nodes", "3", "--folder", str(folder))
    following = subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        said = []
        for line in running.stdout:
            said.append(line)
            if " leader " in line:
                break
        os.kill(running.pid, signal.SIGINT)
        said += running.stdout.readlines()
        assert running.wait(20) == 0
    assert said[-1] == f"stopped; judge what it did: oneleader replay {folder}\n"
    logged = [json.loads(line) for path in folder.glob("*.log") for line in path.read_text().splitlines()]
    assert {line["event"] for line in logged} >= {"started", "connected", "role", "stopped"}
    following.send_signal(signal.SIGINT)
    told, at = following.communicate(timeout=60)
    assert following.returncode == 0, at
    assert told.count("accepted  oneleader recording") == 4
    judged = subprocess.run((*CLI, "replay", str(folder)), capture_output=True, text=True, timeout=60)
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.count("accepted  oneleader recording") == 4


def test_the_nodes_end_with_the_command_even_if_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    command = (*CLI, "cluster", "--nodes", "1", "--folder", str(folder))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert any(" leader " in line for line in running.stdout)
        running.kill()
    until = time.monotonic() + 20
    while '"stopped"' not in (folder / "n1.log").read_text():
        assert time.monotonic() < until, (folder / "n1.log").read_text()
        time.sleep(0.05)


def test_bad_use_of_the_commands(tmp_path: Path) -> None:
    from oneleader.cli.cluster import cluster

    ended = CliRunner().invoke(cluster, ["--promise-ms", "50", "--heartbeat-ms", "50"])
    assert isinstance(ended.exception, UsageError)
    assert CliRunner().invoke(cluster, ["--nodes", "0"]).exit_code == 2


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_imported_leaves_no_traceback(
    tmp_path: Path, sign: signal.Signals
) -> None:
    """The first module of another package sends it to its own process."""
    text = f"import os, time; os.kill(os.getpid(), {int(sign)}); time.sleep(60)"
    (tmp_path / "aiohttp.py").write_text(text)
    ended = subprocess.run(
        [sys.executable, *MODULE, "--id", "n1"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_no_connection_that_goes_out_is_given_a_nodes_port() -> None:
    """Else a node that calls another, which does not listen yet, may be given its port and call itself."""
    ports = free_ports(50)
    assert len(set(ports)) == 50
    with socket.create_server((HOST, 0)) as given:
        assert max(ports) < given.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, ports[0]), timeout=5)
