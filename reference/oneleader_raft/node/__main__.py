"""One process, one node: `python -m oneleader_raft.node --id n1 --peers n1=HOST:PORT,... --data FOLDER`."""

from __future__ import annotations

from . import early  # noqa: F401

# isort: split

import argparse
import asyncio
import ipaddress
import json
import logging
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, NoReturn

from aiohttp import web

from ..core import RAFT, Core
from .api import Api, url
from .door import REQUEST_SECONDS, Door
from .errors import DamagedError, UnusableError
from .links import Address, Tls
from .members import NODE_NAME
from .server import Server
from .settings import NodeSettings
from .trace import Rotation

HOST, PORT = re.compile(r"[^\s/?#@\x00-\x1f]+"), re.compile(r"[0-9]{1,5}")
LONGEST_CLUSTER = 200  # characters


class Parser(argparse.ArgumentParser):
    """One sentence, no usage around it."""

    def error(self, message: str) -> NoReturn:
        raise NodeUsageError(message)


class NodeUsageError(Exception):
    """What was asked for cannot be done: one sentence."""


def main(arguments: Sequence[str] | None = None, core: Core = RAFT) -> int:
    """Exit status: 0 stopped as it should, 1 the node had to stop, 2 it could not start."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        log_to_stderr(options.id, options.log_level)
        settings = settings_of(options)
        token, context = bearer(options.token_file), client_tls(options.api_tls_cert, options.api_tls_key)
        listener, clients = listen(options.listen or settings.peers[settings.id]), listen(options.api)
        server = Server(settings, advertised(options, clients), core)
    except KeyboardInterrupt:
        return 0
    except (NodeUsageError, DamagedError, UnusableError) as error:
        print(f"oneleader node: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"oneleader node: cannot use {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return 2
    door = ForClients(clients, token, context)
    return asyncio.run(serve(server, listener, door, watches_stdin=options.until_stdin_ends))


class ForClients(NamedTuple):
    """Where clients come in, what they have to show, and TLS, if any."""

    socket: socket.socket
    token: bytes
    tls: ssl.SSLContext | None


async def serve(
    server: Server, listener: socket.socket, clients: ForClients, *, watches_stdin: bool = False
) -> int:
    """Run until SIGTERM or SIGINT, the end of standard input where it is watched, or until the node has to
    stop. A second signal stops it at once."""
    node = asyncio.create_task(server.run(listener))
    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []

    def end() -> None:
        if ending:
            node.cancel()
            return
        ending.append(asyncio.create_task(server.hand_over()))
        ending[0].add_done_callback(lambda _: node.cancel())

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, end)
    if watches_stdin:
        stdin = sys.stdin.fileno()

        def read() -> None:
            if not os.read(stdin, 4096):
                loop.remove_reader(stdin)
                end()

        loop.add_reader(stdin, read)
    api = Api(server, clients.token)
    runner = web.AppRunner(api.app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    assert runner.server
    api.door = Door(runner.server)
    handshake = REQUEST_SECONDS if clients.tls else None
    site = await loop.create_server(
        api.door, sock=clients.socket, ssl=clients.tls, ssl_handshake_timeout=handshake
    )
    try:
        await node
    except asyncio.CancelledError:
        return 0
    except Exception as error:  # it cannot store, or there are two leaders: it must not go on
        why = str(error) if isinstance(error, UnusableError) else f"{type(error).__name__}: {error}"
        logging.getLogger(__name__).critical("failed", extra={"why": why})
        return 1
    finally:
        site.close()
        await runner.cleanup()
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="python -m oneleader_raft.node", description=__doc__, allow_abbrev=False)
    parser.add_argument("--id", required=True, help="this node's name, one of those of --peers")
    parser.add_argument(
        "--peers", required=True, help="the members that the cluster began with: n1=HOST:PORT,..."
    )
    parser.add_argument("--join", action="store_true", help="a node that waits to be added to them")
    parser.add_argument("--listen", type=address, help="where peers reach this node, if not as --peers says")
    parser.add_argument("--api", type=address, required=True, help="HOST:PORT for clients")
    parser.add_argument("--advertise-api", type=address, help="where others send clients, if not to --api")
    parser.add_argument("--data", type=Path, required=True, help="the folder of its state and trace")
    parser.add_argument("--cluster", default="oneleader", help="the cluster's name")
    parser.add_argument("--secret-file", type=Path, help="what the members know and strangers do not")
    parser.add_argument(
        "--no-secret", action="store_true", help="run without one on a network that is trusted"
    )
    for name in ("--tls-cert", "--tls-key", "--tls-ca"):
        parser.add_argument(name, type=Path, help="TLS between members: all three, PEM")
    for name in ("--api-tls-cert", "--api-tls-key"):
        parser.add_argument(name, type=Path, help="TLS for clients: both, PEM")
    parser.add_argument("--token-file", type=Path, help="what clients have to show, as a bearer token")
    parser.add_argument("--promise-ms", type=int, default=300, help="least election timeout")
    parser.add_argument("--heartbeat-ms", type=int, default=60)
    parser.add_argument("--drift", type=int, default=10, help="of any clock's rate, in thousandths")
    parser.add_argument("--clockbound", type=Path, help="the file of ClockBound's daemon, which has to run")
    parser.add_argument(
        "--until-stdin-ends", action="store_true", help="stop as well when that is at its end"
    )
    parser.add_argument("--trace", action="store_true", help="record what it does, to be judged")
    parser.add_argument("--trace-megabytes", type=float, default=0, help="begin a new file at this size")
    parser.add_argument("--trace-files", type=int, default=0, help="delete all but the newest of these")
    parser.add_argument(
        "--compact-after", type=int, default=10_000, help="entries of the log, at the least, for a snapshot"
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser.parse_args(arguments)


def settings_of(options: argparse.Namespace) -> NodeSettings:
    if not 0 < len(options.cluster) <= LONGEST_CLUSTER or not options.cluster.isprintable():
        raise NodeUsageError(f"--cluster is a name of 1 to {LONGEST_CLUSTER} characters")
    peers = {}
    for part in options.peers.split(","):
        name, _, where = part.partition("=")
        if name in peers:
            raise NodeUsageError(f"--peers names {name!r} twice")
        if not NODE_NAME.fullmatch(name):
            raise NodeUsageError(
                f"--peers names {name!r}: a name has up to 64 letters, digits, '.', '_' and '-'"
            )
        peers[name] = address(where)
    if options.join:
        check_joining(options, peers)
    elif options.id not in peers:
        raise NodeUsageError(
            f"--id {options.id} is not one of --peers: {', '.join(peers)}; "
            "say --join if it is to be added to them"
        )
    host, port = options.listen or peers[options.id]
    if not (options.secret_file or options.no_secret or is_loopback(host)):
        raise NodeUsageError(
            f"{host} can be reached from other machines, and without a secret any of them may join: "
            "give --secret-file, or --no-secret if the network is trusted"
        )
    if not 0 < options.heartbeat_ms < options.promise_ms:
        raise NodeUsageError("--heartbeat-ms is positive, and less than --promise-ms")
    if options.compact_after < 1:
        raise NodeUsageError("--compact-after is a number of entries, 1 at the least")
    check_rotation(options)
    if not 0 <= options.drift < 1000:
        raise NodeUsageError("--drift is from 0 to 999 thousandths")
    return NodeSettings(
        options.id,
        peers,
        options.data,
        options.cluster,
        secret(options.secret_file),
        tls(options.tls_cert, options.tls_key, options.tls_ca),
        options.promise_ms,
        options.heartbeat_ms,
        options.drift,
        options.trace,
        Rotation(int(options.trace_megabytes * 1_000_000), options.trace_files),
        options.compact_after,
        options.clockbound,
        "" if is_everywhere(host) else f"{host}:{port}",
    )


def check_rotation(options: argparse.Namespace) -> None:
    if options.trace_megabytes and not options.trace:
        raise NodeUsageError("--trace-megabytes is of the trace: give --trace as well")
    if options.trace_files and not options.trace_megabytes:
        raise NodeUsageError("--trace-files is of a trace that rotates: give --trace-megabytes as well")
    if options.trace_megabytes and not 0.001 <= options.trace_megabytes < 1e6:  # so that nan is refused
        raise NodeUsageError("--trace-megabytes is a size, 0.001 at the least, 0 for no limit")
    if options.trace_files < 0:
        raise NodeUsageError("--trace-files is a number of files, 0 for no limit")


def check_joining(options: argparse.Namespace, peers: Mapping[str, Address]) -> None:
    if options.id in peers:
        raise NodeUsageError(f"--id {options.id} is one of --peers: it is a member without --join")
    if not NODE_NAME.fullmatch(options.id):
        raise NodeUsageError(f"--id {options.id!r}: a name has up to 64 letters, digits, '.', '_' and '-'")
    if not options.listen:
        raise NodeUsageError("--join needs --listen HOST:PORT, where the members reach this node")


def address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not (HOST.fullmatch(host) and PORT.fullmatch(port) and int(port) < 65536):
        raise NodeUsageError(f"{text!r} is not of the form HOST:PORT")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_everywhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def advertised(options: argparse.Namespace, clients: socket.socket) -> str:
    """Where the other nodes send clients of this one."""
    scheme = "https" if options.api_tls_cert else "http"
    host, port = options.advertise_api or clients.getsockname()[:2]
    if is_everywhere(host):
        raise NodeUsageError(f"clients cannot be sent to {host}: give --advertise-api HOST:PORT")
    return url(host, port, scheme)


def secret(path: Path | None) -> bytes:
    if path is None:
        return b""
    said = path.read_bytes().strip()
    if len(said) < 16:
        raise NodeUsageError(f"{path}: a secret or token has 16 bytes at the least")
    return said


def bearer(path: Path | None) -> bytes:
    said = secret(path)
    if not re.fullmatch(rb"[ -~]*", said):
        raise NodeUsageError(f"{path}: a token is one line of printable ASCII, as a header carries it")
    return said


def tls(certificate: Path | None, key: Path | None, authority: Path | None) -> Tls | None:
    if certificate is None and key is None and authority is None:
        return None
    if certificate is None or key is None or authority is None:
        raise NodeUsageError("--tls-cert, --tls-key and --tls-ca belong together")
    check_readable(certificate, key, authority)
    try:
        return Tls.of(str(certificate), str(key), str(authority))
    except ssl.SSLError as error:
        raise NodeUsageError(f"TLS cannot be set up with these files: {error.reason or error}") from None


def client_tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise NodeUsageError("--api-tls-cert and --api-tls-key belong together")
    check_readable(certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise NodeUsageError(f"TLS cannot be set up with these files: {error.reason or error}") from None
    return context


def check_readable(*paths: Path) -> None:
    """OSError that names the file: ssl's own does not."""
    for path in paths:
        path.open("rb").close()


def listen(at: Address) -> socket.socket:
    try:
        return socket.create_server(at, family=socket.AF_INET6 if ":" in at[0] else socket.AF_INET)
    except OSError as error:
        number = error.errno or 0  # negative where the resolver says it
        why = os.strerror(number) if number > 0 else str(error.strerror).partition(" (")[0]
        raise NodeUsageError(f"cannot listen at {at[0]}:{at[1]}: {why}") from None


class JsonLines(logging.Formatter):
    """One JSON object a line: when, how grave, which node, what, and what belongs to it."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node
        self._usual = vars(logging.makeLogRecord({})).keys() | {"message", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"at": at, "level": record.levelname.lower(), "node": self._node, "event": record.getMessage()}
        said |= {name: value for name, value in vars(record).items() if name not in self._usual}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


def log_to_stderr(node: str, level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(node))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


if __name__ == "__main__":
    sys.exit(main())
