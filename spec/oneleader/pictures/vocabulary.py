"""How the models are told: for each, which fields say what a lane is, which are messages, and what an
action is called when people speak of it.

A vocabulary fits every model that has the fields that it needs, so a flawed model and one of your own that
extends a known one are told in the same words. A model that none fits is told plainly: a lane for each
element of a set sort, an action by its name.

Templates are filled with the arguments of the action, `{term}` with the term of the lane afterwards. A
reading `granted voter t candidate` names a field and its index: arguments of the action, or

    *        any value: the newest message that fits
    @term    the term of the lane after the step
    <q       each member of the quorum q, as many messages
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from oneleader.story import Spot

Plain = Any  # a value as it is told: a name, a number, True; None for NIL; a tuple of names for a quorum


class Now(Protocol):
    """The state of a model, as far as a vocabulary asks for it."""

    @property
    def quorums(self) -> tuple[frozenset[str], ...]: ...

    @property
    def parameters(self) -> Mapping[str, int]: ...

    def __call__(self, name: str, /, *key: Plain) -> Plain: ...

    def all(self, sort: str, /) -> tuple[Plain, ...]:
        """The elements of a sort, as far as they are known."""


@dataclass(frozen=True)
class MessageWords:
    """A field that is network. `source` and `to` are positions in its index, or names of lanes; without
    `source` it comes from the lane of the event, without `to` it goes to every other server.

    `token`: the position of the token in the index, or "value". `at_once`: nothing says when it is read.
    """

    name: str
    source: int | str | None = None
    to: int | str | None = None
    token: int | str | None = None
    at_once: bool = False


@dataclass(frozen=True)
class Act:
    """An action: what it is called, the lane `at` which it happens, what it `reads`, and the messages that
    come and go `within` it: (source, to, label). `token`: the argument, or the field, that is the token.
    `undone`: what it is called where all that it writes is false."""

    words: str
    at: str = "{n}"
    reads: tuple[str, ...] = ()
    within: tuple[tuple[str, str, str], ...] = ()
    mark: str = ""
    token: str = ""
    undone: str = ""


@dataclass(frozen=True)
class Vocabulary:
    """A model's words. `lanes`: (sort, kind, template of the name); `places`: lanes that are no element."""

    needs: frozenset[str]
    lanes: tuple[tuple[str, str, str], ...]
    spot: Callable[[Now, str], Spot]
    acts: Mapping[str, Act]
    messages: Mapping[str, MessageWords] = field(default_factory=dict)
    places: tuple[tuple[str, str], ...] = ()


EVERYWHERE = ""  # of what happens at no one's place
NODES = (("Node", "server", "{}"),)


# -- Elections ---------------------------------------------------------------------------------------------
def of_election(now: Now, n: str) -> Spot:
    vote = now("voted_for", n)
    voted = (f"voted for {'itself' if vote == n else vote}",) if vote is not None else ()
    return Spot(now("role", n), now("term", n), words=voted)


ELECTION_ACTS = {
    "start_election": Act("{n} stands for election in term {term}"),
    "grant_vote": Act("{voter} votes for {candidate}", "{voter}", ("requested candidate t",)),
    "reply_vote": Act("{voter} tells {candidate} that it has its vote", "{voter}"),
    "receive_vote": Act(
        "{candidate} counts the vote of {voter}", "{candidate}", ("granted voter t candidate",)
    ),
    "become_leader": Act("{n} becomes the leader of term {term}"),
    "update_term": Act("{n} hears of term {t} and goes to it", reads=("requested * t",)),
    "step_down": Act("{n} hears {leader}, which leads term {t}", reads=("heartbeat leader t",)),
    "restart": Act("{n} crashes and is back", mark="restart"),
}
ELECTION_MESSAGES = {
    "requested": MessageWords("RequestVote", source=0),
    "granted": MessageWords("vote granted", source=0, to=2),
    "heartbeat": MessageWords("AppendEntries", source=0),
}
ELECTION = Vocabulary(
    frozenset({"role", "term", "voted_for", "requested", "granted", "heartbeat"}),
    NODES,
    of_election,
    ELECTION_ACTS,
    ELECTION_MESSAGES,
)


# -- Pre-vote ----------------------------------------------------------------------------------------------
def of_pre_vote(now: Now, n: str) -> Spot:
    spot = of_election(now, n)
    return Spot("pre-candidate", spot.term, words=spot.words) if now("asking", n) else spot


PRE_VOTE = Vocabulary(
    ELECTION.needs | {"asking", "pre_requested", "pre_granted", "replied", "told"},
    NODES,
    of_pre_vote,
    ELECTION_ACTS
    | {
        "start_pre_vote": Act("{n} asks whether it would get votes"),
        "grant_pre_vote": Act(
            "{voter} would vote for {candidate}", "{voter}", ("pre_requested candidate t",)
        ),
        "receive_pre_vote": Act(
            "{candidate} counts the pre-vote of {voter}", "{candidate}", ("pre_granted voter t candidate",)
        ),
        "hear_leader": Act("{n} hears {leader}, which leads term {t}", reads=("heartbeat leader t",)),
        "receive_reply": Act("{leader} hears from {follower}", "{leader}", ("replied follower t",)),
        "lose_touch": Act("{n} has heard nothing for an election timeout", mark="time"),
        "give_up": Act("{n} gives up: no quorum answers"),
        "tell_term": Act("{n} refuses {sender} and tells it of its term"),
        "learn_term": Act("{n} is told of term {t} and goes to it", reads=("told n t",)),
    },
    ELECTION_MESSAGES
    | {
        "pre_requested": MessageWords("RequestPreVote", source=0),
        "pre_granted": MessageWords("pre-vote granted", source=0, to=2),
        "replied": MessageWords("AppendEntries reply", source=0, at_once=True),
        "told": MessageWords("refusal", to=0),
    },
)


# -- The log -----------------------------------------------------------------------------------------------
def of_replication(now: Now, n: str) -> Spot:
    if n not in now.all("Node"):
        return Spot()
    spot = of_election(now, n)
    length, committed = now("log_length", n), now("commit_index", n)
    terms = " ".join(str(now("log_term", n, i)) for i in range(1, length + 1))
    log = (f"log {terms}",) if length else ()
    return Spot(
        spot.role, spot.term, words=(*spot.words, *log, *([f"committed {committed}"] * (committed > 0)))
    )


ENTRIES = ("heartbeat * t", "leader_log_length t", "leader_commit t")
REPLICATION = Vocabulary(
    ELECTION.needs | {"log_length", "commit_index", "leader_log_length", "leader_commit", "acknowledged"},
    NODES,
    of_replication,
    ELECTION_ACTS
    | {
        "give_up": Act("{n} gives up: no quorum answers"),
        "client_request": Act("{n} appends {value} for a client", within=(("client", "{n}", "{value}"),)),
        "append_entries": Act(
            "{n} appends entries {prev}+1 to {last} of the leader of term {t}", reads=ENTRIES
        ),
        "replace_entries": Act("{n} replaces its entries after {prev} up to {last}", reads=ENTRIES),
        "advance_commit": Act("{n} commits up to {i}: a quorum has it", reads=("acknowledged <q @term",)),
    },
    ELECTION_MESSAGES
    | {
        "leader_log_length": MessageWords("AppendEntries", source=None),
        "leader_commit": MessageWords("AppendEntries", source=None),
        "acknowledged": MessageWords("AppendEntries reply", source=0, at_once=True),
    },
    places=(("client", "client"),),
)


# -- Leases ------------------------------------------------------------------------------------------------
def holds_lease(now: Now, n: str) -> bool:
    """As the model `lease` has it: a quorum has acknowledged rounds sent less than a lease ago."""
    term, length = now("term", n), now.parameters["lease"]
    lately = [k for k in now.all("Round") if now("since_sent", n, k) < length]
    recent = {v for v in now.all("Node") if any(now("acknowledged", v, n, term, k) for k in lately)} | {n}
    leads = now("role", n) == "leader" and not now("lease_is_void", n)
    return leads and any(quorum <= recent for quorum in now.quorums)


def of_lease(now: Now, n: str) -> Spot:
    spot = of_election(now, n)
    promised = ("promise runs",) if now("since_promise", n) < now.parameters["promise"] else ()
    return Spot(spot.role, spot.term, lease=holds_lease(now, n), words=(*spot.words, *promised))


def of_lease_or_storage(now: Now, name: str) -> Spot:
    if name in now.all("Node"):
        return of_lease(now, name)
    latest = now("latest", name)
    return Spot(words=(f"latest term {latest}",) if latest else ())


LEASE_ACTS = ELECTION_ACTS | {
    "elapse": Act("time passes: {advance}", "", mark="time"),
    "send_heartbeat": Act("{n} sends a round of heartbeats"),
    "acknowledge": Act("{voter} promises {leader} to wait", "{voter}", ("sent leader t k",)),
    "give_up": Act("{n} gives up: no quorum answers"),
    "transfer_leadership": Act("{n} gives up its lease and makes way for {target}"),
    "start_forced_election": Act(
        "{n}, told by {leader}, stands in term {term}", reads=("timeout_now leader n @term",)
    ),
    "abandon_transfer": Act("{n} goes on as the leader and takes its lease again"),
    "receive_acknowledgement": Act(
        "{leader} counts its lease from now on", "{leader}", ("acknowledged voter leader @term k",)
    ),
    "decide_write": Act("{n} finds that it holds a lease, and writes"),
    "write": Act("the write of {n} arrives", "{r}", ("decided n t r",), mark="write", token="t"),
}
LEASE_MESSAGES = ELECTION_MESSAGES | {
    "heartbeat": MessageWords("AppendEntries", source=0, at_once=True),  # that is told by the rounds
    "sent": MessageWords("heartbeat", source=0),
    "acknowledged": MessageWords("promise", source=0, to=1, at_once=True),
    "timeout_now": MessageWords("TimeoutNow", source=0, to=1),
    "decided": MessageWords("write", source=0, to=2, token=1),
}
LEASE_NEEDS = ELECTION.needs | {"since_promise", "since_sent", "lease_is_void", "acknowledged"}
LEASE = Vocabulary(LEASE_NEEDS, NODES, of_lease, LEASE_ACTS, LEASE_MESSAGES)
LEASE_FROM_RECEIPT = Vocabulary(
    LEASE_NEEDS | {"received"},
    NODES,
    of_lease,
    LEASE_ACTS,
    LEASE_MESSAGES | {"acknowledged": MessageWords("promise", source=0, to=1)},
)
LEASE_AND_STORAGE = Vocabulary(
    LEASE_NEEDS | {"decided", "latest"},
    (*NODES, ("Resource", "storage", "{}")),
    of_lease_or_storage,
    LEASE_ACTS,
    LEASE_MESSAGES,
)


# -- Fencing -----------------------------------------------------------------------------------------------
def of_fencing(now: Now, name: str) -> Spot:
    if name in now.all("Resource"):
        greatest = now("greatest", name)
        return Spot(words=(f"greatest token {greatest}",) if greatest else ())
    if name in now.all("Client"):
        tokens = [token for r in now.all("Resource") if (token := now("token", r, name))]
        return Spot(words=tuple(f"token {token}" for token in tokens))
    holder = now("holder", name.removeprefix("lock of "))
    return Spot(words=(f"held by {holder}",) if holder is not None else ())


FENCING = Vocabulary(
    frozenset({"holder", "last", "token", "sent", "greatest", "nonce"}),
    (("Resource", "lock", "lock of {}"), ("Client", "client", "{}"), ("Resource", "storage", "{}")),
    of_fencing,
    {
        "acquire": Act(
            "{c} gets the lock, with token {t}", "lock of {r}", within=(("lock of {r}", "{c}", "token {t}"),)
        ),
        "expire": Act("the lock expires; its holder may not hear of it", "lock of {r}", mark="time"),
        "fail_over": Act("the lock service fails over, back to token {t}", "lock of {r}", mark="restart"),
        "send_write": Act("{c} writes", "{c}"),
        "check_write": Act("{r} compares token {t} of {c}: it may write", "{r}", ("sent r t c",)),
        "accept_write": Act(
            "the write of {c} lands, token {t}", "{r}", ("sent r t c",), mark="write", token="t"
        ),
        "refuse_write": Act(
            "the write of {c} is refused, token {t}", "{r}", ("sent r t c",), mark="refused", token="t"
        ),
    },
    {"sent": MessageWords("write", source=2, to=0, token=1)},
)


# -- A lock ------------------------------------------------------------------------------------------------
def of_lock(now: Now, name: str) -> Spot:
    if name == "storage":
        greatest = now("greatest")
        return Spot(words=(f"greatest token {greatest}",) if greatest else ())
    if name == "lock":
        holder = now("holder")
        return Spot(words=(f"held by {holder}",) if holder is not None else ())
    return Spot(words=tuple(f"token {t}" for t in now.all("Token") if now("granted", name, t)))


LOCK = Vocabulary(
    frozenset({"holder", "last", "granted", "greatest"}),
    (("Client", "client", "{}"),),
    of_lock,
    {
        "acquire": Act("{c} gets the lock", "lock", within=(("lock", "{c}", "a token"),)),
        "release": Act("{c} gives the lock back", "{c}", within=(("{c}", "lock", "release"),)),
        "expire": Act("the lock expires; its holder may not hear of it", "lock", mark="time"),
        "write": Act(
            "{c} writes with token {t}",
            "storage",
            within=(("{c}", "storage", "write"),),
            mark="write",
            token="t",
        ),
    },
    places=(("lock", "lock"), ("storage", "storage")),
)


# -- The composition ---------------------------------------------------------------------------------------
def of_system(now: Now, name: str) -> Spot:
    if name == "storage":
        greatest = now("greatest")
        return Spot(words=(f"greatest token {greatest}",) if greatest else ())
    promised = [m for m in now.all("Node") if now("promised", name, m)]
    words = tuple(f"promised {'itself' if m == name else m}" for m in promised)
    role = "leader" if now("leads", name) else "follower"
    return Spot(role, now("term", name), now("lease", name) is not None, words)


SYSTEM = Vocabulary(
    frozenset({"leads", "term", "lease", "promised", "pending", "greatest"}),
    NODES,
    of_system,
    {
        "elect": Act("{n} is elected by {q}", within=(("<q", "{n}", "vote"),)),
        "step_down": Act("{n} hears of a later term from {other}", within=(("{other}", "{n}", "term"),)),
        "restart": Act("{n} crashes and is back", mark="restart"),
        "take_lease": Act("{n} takes a lease: {q} promises to wait", within=(("<q", "{n}", "promise"),)),
        "end_lease": Act("the lease of {n} ends", mark="time"),
        "end_promise": Act("the promise of {v} to {n} ends", "{v}", mark="time"),
        "decide_write": Act("{n} finds that it may act, and writes"),
        "write": Act("the write of {n} lands", "storage", ("pending n",), mark="write", token="pending n"),
    },
    {"pending": MessageWords("write", source=0, to="storage", token="value")},
    (("storage", "storage"),),
)

ENVIRONMENT = replace(
    SYSTEM,
    needs=SYSTEM.needs | {"is_split", "has_read"},
    acts={
        **SYSTEM.acts,
        "split": Act("the network splits", EVERYWHERE, mark="cut"),
        "heal": Act("the network is whole again", EVERYWHERE, mark="cut"),
        "read": Act("{n} reads the storage", within=(("storage", "{n}", "value"),)),
        "give_up_write": Act("the write of {n} is given up"),
    },
)


# -- The bully, and the incident -----------------------------------------------------------------------------
def of_bully(now: Now, name: str) -> Spot:
    n = int(name)
    status = now("status", n)
    leads = status == "normal" and now("superior", n) == n
    life = "down" if status == "down" else "paused" if now("paused", n) else "up"
    words = ("cut off",) if now("beyond", n) else ()
    superior = now("superior", n)
    follows = (f"obeys {superior}",) if superior is not None and superior != n and life != "down" else ()
    return Spot("coordinator" if leads else status, words=(*words, *follows), life=life)


BULLY = Vocabulary(
    frozenset({"status", "superior", "paused", "beyond"}),
    (("Node", "server", "{}"),),
    of_bully,
    {
        "crash": Act("node {n} fails", mark="crash"),
        "recover": Act("node {n} is back", mark="back"),
        "pause": Act("node {n} pauses, for longer than a time-out", mark="pause"),
        "resume": Act("node {n} goes on; for it no time has passed", mark="resume"),
        "partition": Act("the links of node {n} fail", mark="cut", undone="the links of node {n} come back"),
        "suspect": Act("node {n} hears nothing from node {coordinator}, and calls an election"),
        "check_members": Act("node {n} finds that node {member} does not follow it, and calls an election"),
        "stand": Act("no greater node answers node {n}"),
        "halt": Act("node {n} makes node {smaller} stop", within=(("{n}", "{smaller}", "halt"),)),
        "take_over": Act("node {n} takes over as the coordinator"),
        "inform": Act(
            "node {n} tells node {smaller} to go on", within=(("{n}", "{smaller}", "coordinator"),)
        ),
    },
)


def of_incident(now: Now, name: str) -> Spot:
    if name == "storage":
        return Spot()
    words = ("cut off",) if now("beyond", name) else ()
    return Spot("leader" if now("leads", name) else "follower", words=words)


INCIDENT = Vocabulary(
    frozenset({"beyond", "leads"}),
    NODES,
    of_incident,
    {
        "partition": Act("the links of {n} fail", mark="cut", undone="the links of {n} come back"),
        "crash": Act("{n} is gone", mark="crash"),
        "become_leader": Act("{n} hears no leader, and becomes one"),
        "write": Act("{n} writes", "storage", within=(("{n}", "storage", "write"),), mark="write"),
    },
    places=(("storage", "storage"),),
)


# -- What the write-up says --------------------------------------------------------------------------------
def of_loop(now: Now, n: str) -> Spot:
    tally = now("tally", n)
    votes = (f"{tally} vote{'s'[: tally != 1]}",) if tally else ()
    return Spot(now("role", n), now("term", n), words=votes)


LOOP = Vocabulary(
    frozenset({"stood_in", "asked", "tally", "led"}),
    NODES,
    of_loop,
    {
        "start_election": Act("{n} stands for election in term {term}"),
        "get_vote": Act("{n} asks {peer}, and gets its vote", within=(("{peer}", "{n}", "vote"),)),
        "get_no_vote": Act("{n} asks {peer}, and gets no vote"),
        "learn_newer_term": Act(
            "{n} asks {peer}, learns of term {term}, and goes on", within=(("{peer}", "{n}", "newer term"),)
        ),
        "end_candidacy": Act(
            "{n} asks {peer}, learns of term {term}, and gives up", within=(("{peer}", "{n}", "newer term"),)
        ),
        "lead": Act("{n} has the votes, and leads term {term}"),
        "lose": Act("{n} may not lead"),
        "hear_newer_term": Act("{n} hears of term {term}", within=(("{other}", "{n}", "newer term"),)),
        "hear_leader": Act("{n} hears that {leader} leads", within=(("{leader}", "{n}", "AppendEntries"),)),
    },
)


def of_redis_lock(now: Now, name: str) -> Spot:
    if name == "storage":
        return Spot()
    if name == "lock":
        owner, epoch = now("owner"), now("epoch")
        held = (f"held by {owner}",) if owner else ()
        return Spot(words=(*held, *((f"epoch {epoch}",) if epoch else ())))
    token = now("token", name)
    return Spot(words=((f"token {token}",) if token else ()) + (("checked",) if now("checked", name) else ()))


REDIS_LOCK = Vocabulary(
    frozenset({"owner", "epoch", "checked", "newest"}),
    (("Client", "client", "{}"),),
    of_redis_lock,
    {
        "elect": Act("the cluster has a new epoch", EVERYWHERE),
        "acquire": Act("{c} gets the lock with epoch {t}", "lock", within=(("lock", "{c}", "epoch {t}"),)),
        "refuse": Act("epoch {t} is refused", "lock", mark="refused"),
        "expire": Act("the lock expires; its owner hears nothing of it", "lock", mark="time"),
        "check_write": Act("{c} finds its token new enough", "{c}", within=(("lock", "{c}", "epoch"),)),
        "write": Act(
            "{c} writes", "storage", within=(("{c}", "storage", "write"),), mark="write", token="token c"
        ),
    },
    places=(("lock", "lock"), ("storage", "storage")),
)


def of_alerts(now: Now, name: str) -> Spot:
    if name == "monitoring":
        return Spot(words=tuple(f"{n} leads" for n in now.all("Node") if now("saw_leader", n)))
    words = ("cut off",) if now("beyond", name) else ()
    return Spot("leader" if now("leads", name) else "follower", now("term", name), words=words)


ALERTS = Vocabulary(
    frozenset({"saw_leader", "saw_led", "last_led"}),
    NODES,
    of_alerts,
    {
        "elect": SYSTEM.acts["elect"],
        "step_down": SYSTEM.acts["step_down"],
        "restart": SYSTEM.acts["restart"],
        "partition": INCIDENT.acts["partition"],
        "scrape": Act("{n} is scraped", "monitoring", within=(("{n}", "monitoring", "gauges"),)),
    },
    places=(("monitoring", "storage"),),
)


def of_members(now: Now, n: str) -> Spot:
    """A server whose log holds configurations: the one in effect is that of its last entry."""
    spot = of_replication(now, n)
    length = now("log_length", n) if n in now.all("Node") else 0
    in_effect = (f"configuration {now('log_config', n, length)}",) if length else ()
    return Spot(spot.role, spot.term, words=(*spot.words, *in_effect))


MEMBERSHIP = Vocabulary(
    REPLICATION.needs | {"log_config", "adjacent"},
    NODES,
    of_members,
    dict(REPLICATION.acts)
    | {
        "change_config": Act("{n} appends configuration {c}, which takes effect at once"),
        "retire": Act("{n} steps down: it is no member of what it has committed"),
    },
    dict(REPLICATION.messages),
    places=REPLICATION.places,
)


def of_snapshots(now: Now, n: str) -> Spot:
    """The same, of a server that has forgotten the beginning of its log."""
    spot = of_members(now, n)
    covered = now("snapshot_index", n) if n in now.all("Node") else 0
    snapshot = (f"snapshot to {covered}",) if covered else ()
    return Spot(spot.role, spot.term, words=(*snapshot, *spot.words))


A_SNAPSHOT = ("heartbeat * t", "leader_snapshot t")
SNAPSHOTS = Vocabulary(
    MEMBERSHIP.needs | {"snapshot_index", "leader_snapshot"},
    NODES,
    of_snapshots,
    dict(MEMBERSHIP.acts)
    | {
        "compact": Act("{n} takes a snapshot up to {k} and forgets what it covers"),
        "keep_after_snapshot": Act("{n} has entry {k} already, and keeps what follows it", reads=A_SNAPSHOT),
        "install_snapshot": Act("{n} takes over the snapshot up to {k}, its log is gone", reads=A_SNAPSHOT),
    },
    dict(MEMBERSHIP.messages) | {"leader_snapshot": MessageWords("InstallSnapshot", source=None)},
    places=MEMBERSHIP.places,
)


def of_large_steps(now: Now, n: str) -> Spot:
    if n not in now.all("Node"):
        return Spot()
    length, committed = now("log_length", n), now("commit_index", n)
    log = " ".join(f"{now('log_term', n, i)}:{now('log_config', n, i)}" for i in range(1, length + 1))
    words = ((f"log {log}",) if length else ()) + ((f"committed {committed}",) if committed else ())
    return Spot("leader" if now("leads", n) else "follower", now("term", n), words=words)


LARGE_STEPS = Vocabulary(
    frozenset({"log_config", "adjacent", "leads"}),
    NODES,
    of_large_steps,
    {
        "elect": Act("{n} is elected in term {t} by {q}"),
        "client_request": Act("{n} appends an entry"),
        "change_config": MEMBERSHIP.acts["change_config"],
        "replicate": Act("{n} takes over entries up to {last} of the leader of term {t}"),
        "advance_commit": Act("{n} commits up to {i}: {q} has it"),
    },
    {},
)


def of_applied(now: Now, n: str) -> Spot:
    """The same, where a configuration takes effect once it is applied."""
    spot = of_large_steps(now, n)
    applied = now("applied", n) if n in now.all("Node") else 0
    return Spot(spot.role, spot.term, words=(*spot.words, *((f"applied {applied}",) if applied else ())))


ON_APPLY = Vocabulary(
    LARGE_STEPS.needs | {"applied"},
    NODES,
    of_applied,
    dict(LARGE_STEPS.acts)
    | {
        "change_config": Act("{n} appends configuration {c}, which takes effect once applied"),
        "replicate": Act("{n} takes entries up to {last} of term {t}, hears that {up_to} are committed"),
        "apply_entries": Act("{n} applies what is committed up to {i}"),
    },
    {},
)


def of_held(now: Now, n: str) -> Spot:
    """A server that holds a configuration: the term and the version of it."""
    spot = of_election(now, n)
    held = f"holds {now('config_term', n)}.{now('config_version', n)}" if n in now.all("Node") else ""
    return Spot(spot.role, spot.term, words=(*spot.words, *((held,) if held else ())))


LOGLESS = Vocabulary(
    ELECTION.needs | {"config_term", "config_version"},
    NODES,
    of_held,
    dict(ELECTION.acts)
    | {
        "bootstrap": Act("the operator names configuration {c} the first one", EVERYWHERE),
        "change_members": Act("{n} makes its next configuration, {c}"),
        "take_config": Act("{n} takes configuration {t}.{v}"),
    },
    dict(ELECTION.messages),
)


def of_changes(now: Now, name: str) -> Spot:
    if name == "server":
        return Spot(words=(f"gauge {now('gauge')}", f"counter {now('counter')}"))
    return Spot(words=(f"gauge rose by {now('gauge_rose')}", f"counter by {now('counter_rose')}"))


CHANGES = Vocabulary(
    frozenset({"gauge", "counter", "gauge_rose"}),
    (),
    of_changes,
    {
        "elect": Act("an election", "server"),
        "restart": Act("the server is started again", "server", mark="restart"),
        "read_back": Act("the server reads its term", "server"),
        "scrape": Act("a scrape", "monitoring", within=(("server", "monitoring", "metrics"),)),
    },
    places=(("server", "server"), ("monitoring", "storage")),
)

VOCABULARIES = (
    *(
        LEASE_AND_STORAGE,
        LEASE_FROM_RECEIPT,
        LEASE,
        SNAPSHOTS,
        MEMBERSHIP,
        ON_APPLY,
        LARGE_STEPS,
        LOGLESS,
        REPLICATION,
        PRE_VOTE,
        ELECTION,
    ),
    *(FENCING, LOCK, ENVIRONMENT, SYSTEM, BULLY, LOOP, REDIS_LOCK, ALERTS, CHANGES, INCIDENT),
)
