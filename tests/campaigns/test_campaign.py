"""Campaigns: merging, journals, and a real cluster of processes, some of which die."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from oneleader.campaigns import campaign as reader
from oneleader.campaigns.campaign import Campaign, Job, campaign, here, merged, needed
from oneleader.campaigns.dask_executor import over
from oneleader.campaigns.journal import Journal, key
from oneleader.errors import UsageError
from oneleader.language.configuration import bounded
from oneleader.models import election
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.walk import walk

SIZES = {"Node": 3, "Term": 3}


def walks(runs: int = 40, *, fault: str | None = None, chunk: int = 5, seed: int = 1) -> list[Job]:
    about = reader.subject("election", fault)
    return reader.walks(about, SIZES, "majority", seed=seed, runs=runs, length=30, chunk=chunk)


def conforming(adapter: str = "reference", fault: str | None = None) -> list[Job]:
    about = reader.subject(adapter, fault)
    return reader.conformance(about, nodes=3, terms=4, seed=1, examples=60, steps=20, chunk=20)


def sweep() -> list[Job]:
    about = reader.subject("election")
    return reader.sweep(about, {"Node": [2, 3], "Term": [1, 2]}, "majority")


@pytest.fixture(scope="module")
def healthy() -> Campaign:
    return campaign(walks())


@pytest.fixture(scope="module")
def faulty() -> Campaign:
    """All jobs of a faulty model, also those after the first violation."""
    jobs = walks(20, fault="no-quorum", chunk=1)
    return Campaign(jobs, {n: reader.do(job)[0] for n, job in enumerate(jobs)})


# -- jobs --------------------------------------------------------------------------------------------
def test_a_job_is_plain_data_and_gives_the_same_each_time() -> None:
    for job in (walks()[0], sweep()[3], conforming()[1]):
        assert json.loads(json.dumps(job)) == job
        result, _ = reader.do(json.loads(json.dumps(job)))
        assert json.loads(json.dumps(result)) == result == reader.do(job)[0]


def test_the_runs_do_not_depend_on_how_many_there_are() -> None:
    assert walks(100)[:8] == walks(40)
    seeds = [job["seed"] for job in (*walks(100), *walks(100, seed=2))]
    assert len(set(seeds)) == len(seeds)
    assert [job["share"] for job in walks(23)] == [5, 5, 5, 5, 3]


def test_a_job_is_what_its_reader_does() -> None:
    job = walks()[2]
    alone = walk(
        election.MODEL, bounded(election.MODEL, nodes=3, terms=3), seed=job["seed"], runs=5, length=30
    )
    result, _ = reader.do(job)
    fired = {name: times for name, times in result["fired"].items() if times}
    assert (result["runs"], result["steps"], fired) == (5, alone.steps, alone.fired)


def test_a_sweep_is_the_explorations_one_by_one() -> None:
    made = campaign(sweep())
    alone = [
        result.states
        for nodes in (2, 3)
        for terms in (1, 2)
        for result in explore_all(election.MODEL, bounded(election.MODEL, nodes=nodes, terms=terms))
    ]
    assert [row["states"] for row in made.merged["rows"]] == alone
    assert (made.merged["verdict"], made.merged["states"]) == ("holds", sum(alone))


def test_a_witness_that_a_sweep_reaches_nowhere_leaves_it_open() -> None:
    only_small = campaign([job for job in sweep() if job["sizes"]["Term"] == 1]).merged
    assert (only_small["witnesses"]["two_leaders_of_different_terms"], only_small["verdict"]) == (
        False,
        "inconclusive",
    )


def test_the_conformance_test_catches_a_faulty_reference() -> None:
    assert campaign(conforming()).merged["verdict"] == "holds"
    made = campaign(conforming(fault="vote-twice")).merged
    assert made["verdict"] == "violated"
    assert made["failures"][0]["cause"].startswith("grant_vote: vote_is_free")


def test_a_violation_comes_back_as_the_plain_interpreter_takes_it(faulty: Campaign) -> None:
    (said,) = faulty.merged["violations"]
    model, run, found = reader.rebuilt(faulty.jobs[0], said)
    last = found.steps[-1][1]
    broken = run.violated(last, {found.what: model.properties[found.what]})
    assert broken == (model.properties[found.what], found.args)
    assert len(said["steps"]) == len(found.steps)


def test_other_code_or_another_file_on_a_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="other code of oneleader"):
        reader.do(walks()[0] | {"code": "older"})
    file = tmp_path / "mine.py"
    file.write_text("ADAPTER = None\n")
    (job, *_) = conforming(f"{file}:MyAdapter")
    with pytest.raises(UsageError, match=r"there is no adapter .*mine\.py:MyAdapter"):
        reader.do(job)
    file.write_text("ADAPTER = 1\n")
    with pytest.raises(UsageError, match="is not the same on a worker"):
        reader.do(job)


# -- merging -----------------------------------------------------------------------------------------
counts = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))
parts = st.fixed_dictionaries(
    {
        "verdict": st.sampled_from(["holds", "violated", "inconclusive"]),
        "steps": st.integers(0, 9),
        "fired": counts,
        "witnesses": st.fixed_dictionaries({"w": st.booleans()}),
        "violations": st.lists(st.integers(0, 9), max_size=2),
    }
)


@given(st.lists(st.lists(parts, min_size=1), min_size=1))
def test_any_split_merges_to_the_same(groups: list[list[Any]]) -> None:
    at_once = merged([part for group in groups for part in group])
    assert merged([merged(group) for group in groups]) == at_once
    assert at_once["steps"] == sum(part["steps"] for group in groups for part in group)


@given(data=st.data())
def test_any_order_and_any_share_from_a_journal_merge_to_the_same(
    data: st.DataObject, healthy: Campaign, faulty: Campaign
) -> None:
    """Also where the first violation comes in last, and where jobs after it were done."""
    whole = data.draw(st.sampled_from([healthy, faulty]))
    order = data.draw(st.permutations(range(len(whole.jobs))))
    known = data.draw(st.sets(st.sampled_from(order)))
    asked: list[int] = []

    def shuffled(jobs: Mapping[int, Job], wanted: Any) -> reader.Doing:
        for number in (n for n in order if n in jobs and wanted(n)):
            asked.append(number)
            yield number, (whole.results[number], 0.0)

    kept = _Kept({key(whole.jobs[n]): whole.results[n] for n in known})
    made = campaign(whole.jobs, execute=shuffled, journal=kept)
    assert made.merged == whole.merged
    assert (set(asked) & known, made.taken_up) == (set(), len(known))


class _Kept(Journal):
    """A journal without a file."""

    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results

    def add(self, key: str, job: Job, result: Any, seconds: float) -> None:
        self.results[key] = result


def test_the_first_violation_is_told_and_nothing_after_it(faulty: Campaign) -> None:
    violated = [n for n, result in faulty.results.items() if result["verdict"] == "violated"]
    assert len(violated) > 1, "this fault is found by several jobs"
    first = violated[0]
    assert (needed(faulty.jobs, faulty.results), faulty.merged["jobs"]) == (first + 1, first + 1)
    assert faulty.merged["violations"] == faulty.results[first]["violations"]
    assert faulty.merged["violations"][0]["run"] == first + 1  # one run a job here, counted from 1
    assert faulty.merged["runs"] == first + 1
    alone = campaign(faulty.jobs)
    assert (alone.merged, len(alone.results)) == (faulty.merged, first + 1)


def test_what_is_missing_is_inconclusive(healthy: Campaign) -> None:
    some = replace(healthy, results={n: r for n, r in healthy.results.items() if n != 3})
    assert (some.merged["verdict"], some.merged["done"], some.merged["jobs"]) == ("inconclusive", 7, 8)
    assert replace(healthy, results={}).merged["verdict"] == "inconclusive"


# -- interruption and journals -----------------------------------------------------------------------
def test_an_interrupted_campaign_goes_on_from_its_journal(tmp_path: Path, healthy: Campaign) -> None:
    def until_the_third(jobs: Mapping[int, Job], wanted: Any) -> reader.Doing:
        for number, done in here(jobs, wanted):
            if number == 3:
                raise KeyboardInterrupt
            yield number, done

    path = tmp_path / "journal.ndjson"
    first = Journal(path, seed=5)
    made = campaign(healthy.jobs, execute=until_the_third, journal=first)
    assert (made.why, sorted(made.results), made.merged["verdict"]) == (
        "interrupted",
        [0, 1, 2],
        "inconclusive",
    )
    first.close()

    with path.open("ab") as file:
        file.write(b'{"key": "another campaign\'s", "result": {"verdict": "violated"}}\n{"key": "torn')
    again = Journal(path)
    assert (again.seed, again.ignored) == (5, 1)
    made = campaign(healthy.jobs, journal=again)
    assert (made.taken_up, made.why, made.merged) == (3, "", healthy.merged)
    again.close()

    last = Journal(path)
    assert (last.ignored, len(last.results)) == (0, 1 + 8)
    made = campaign(healthy.jobs, journal=last, execute=_nothing)
    assert made.merged == healthy.merged
    last.close()


def _nothing(jobs: Mapping[int, Job], wanted: Any) -> reader.Doing:
    raise AssertionError("everything stands in the journal")
    yield 0, None


def test_a_result_in_the_journal_is_used_as_it_is(tmp_path: Path, healthy: Campaign) -> None:
    with_lie = Journal(tmp_path / "journal.ndjson")
    with_lie.add(key(healthy.jobs[0]), healthy.jobs[0], healthy.results[0] | {"steps": 10**6}, 0.0)
    made = campaign(healthy.jobs, journal=with_lie)
    with_lie.close()
    assert made.merged["steps"] == healthy.merged["steps"] - healthy.results[0]["steps"] + 10**6


@pytest.mark.parametrize("job", [walks()[0], sweep()[0], conforming()[0]], ids=lambda job: str(job["kind"]))
def test_the_key_of_a_job_depends_on_everything(job: Job) -> None:
    keys = {key(job | {name: "something else"}) for name in job} | {key(job)}
    assert len(keys) == len(job) + 1


def test_a_job_that_is_interrupted_within_its_reader_is_not_done(
    monkeypatch: pytest.MonkeyPatch, healthy: Campaign
) -> None:
    """The reader returns what it has seen so far: that must not be taken for a result."""

    def interrupted(*arguments: Any, **options: Any) -> Any:
        return replace(walk(*arguments, **options), why="interrupted", verdict="inconclusive")

    monkeypatch.setattr(reader, "walk", interrupted)
    made = campaign(healthy.jobs)
    assert (made.why, made.results) == ("interrupted", {})


@pytest.mark.parametrize("text", ['{"format": "etcd"}\n', "import this\n", "no end of line"])
def test_another_file_is_not_taken_for_a_journal(tmp_path: Path, text: str) -> None:
    path = tmp_path / "precious"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no journal of a campaign"):
        Journal(path)
    assert path.read_text() == text


def test_two_campaigns_do_not_write_one_journal(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal.ndjson")
    with pytest.raises(UsageError, match="in use by another campaign"):
        Journal(tmp_path / "journal.ndjson")
    first.close()
    Journal(tmp_path / "journal.ndjson").close()


# -- a cluster of this machine -------------------------------------------------------------------------
@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No process and no folder is left behind."""
    psutil = pytest.importorskip("psutil")
    yield
    left = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    assert left == []


@pytest.mark.usefixtures("nothing_left")
def test_the_cluster_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    jobs = [walks()[0], *conforming(), *sweep()]
    listening: set[str] = set()

    def alone(n: int) -> bool:
        if n == len(jobs) - 1 and not listening:
            listening.update(_listening())
        return True

    found = {n: done[0] for n, done in over("local", workers=2)(dict(enumerate(jobs)), alone) if done}
    here = {n: reader.do(job)[0] for n, job in enumerate(jobs)}
    drawn = [n for n, job in enumerate(jobs) if job["kind"] == "conform"]
    assert drawn
    # Hypothesis draws constants of loaded modules, too, so its examples differ between processes.
    assert {n: found.pop(n)["verdict"] for n in drawn} == {n: here.pop(n)["verdict"] for n in drawn}
    assert found == here
    assert listening == {"127.0.0.1"}
    assert [*tmp_path.iterdir()] == []


def _listening() -> set[str]:
    """The addresses on which this process and its children wait for others."""
    import psutil

    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    sockets = [c for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert 8787 not in {c.laddr.port for c in sockets}, "a dashboard"
    return {c.laddr.ip for c in sockets}


@pytest.mark.usefixtures("nothing_left")
def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    jobs = walks(200, chunk=10)
    killed: list[int] = []

    def kill(made: Campaign) -> None:
        if len(made.results) in (2, 9) and len(killed) < 2:
            child = next(p for p in multiprocessing.active_children() if p.pid not in killed)
            assert child.pid
            os.kill(child.pid, signal.SIGKILL)
            killed.append(child.pid)

    journal = Journal(tmp_path / "journal.ndjson")
    made = campaign(jobs, execute=over("local", workers=2), journal=journal, progress=kill)
    journal.close()
    assert (len(killed), made.why, len(made.results)) == (2, "", 20)
    assert made.merged == campaign(jobs).merged
    lines = (tmp_path / "journal.ndjson").read_text().splitlines()
    assert len(lines) == 1 + 20  # each job is written down once


DEADLY = """
import os
from oneleader.conformance.adapter import ReferenceAdapter

class Deadly(ReferenceAdapter):
    def timeout(self, node):
        os.kill(os.getpid(), 9)
"""


@pytest.mark.usefixtures("nothing_left")
def test_a_job_that_ends_its_worker_each_time_is_given_up_and_the_others_are_done(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    jobs = [conforming(f"{tmp_path / 'deadly.py'}:Deadly")[0], *conforming()[1:]]
    dask = pytest.importorskip("dask")
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):  # 3 would take longer
        made = campaign(jobs, execute=over("local", workers=2))
    assert sorted(made.results) == [1, 2]
    assert made.why.startswith("job 1 ended its worker again and again")
    assert made.merged["verdict"] == "inconclusive"


@pytest.mark.usefixtures("nothing_left")
def test_a_violation_ends_a_campaign_on_a_cluster_too() -> None:
    jobs = walks(400, fault="no-quorum", chunk=1)
    made = campaign(jobs, execute=over("local", workers=2))
    assert made.merged == campaign(jobs).merged
    assert made.merged["verdict"] == "violated"
    assert len(made.results) < 100


# -- somebody else's cluster ---------------------------------------------------------------------------
@pytest.fixture
def scheduler() -> Iterator[Any]:
    """A scheduler with an address, and a worker with two threads in this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
    ) as started:
        yield started


def test_a_scheduler_by_its_address(scheduler: Any, healthy: Campaign) -> None:
    address = scheduler.scheduler_address
    assert campaign(healthy.jobs, execute=over(address)).merged == healthy.merged
    short = campaign(healthy.jobs, execute=over(address.removeprefix("tcp://")))
    assert short.merged == healthy.merged


def test_an_error_of_a_job_is_told_in_its_own_words(scheduler: Any) -> None:
    jobs = [job | {"code": "older"} for job in walks()]
    with pytest.raises(UsageError, match="other code of oneleader"):
        campaign(jobs, execute=over(scheduler.scheduler_address))


def test_a_scheduler_that_goes_away_ends_it_and_what_is_done_is_kept(scheduler: Any) -> None:
    def close(made: Campaign) -> None:
        if len(made.results) == 2:
            scheduler.close()

    jobs = walks(2000, chunk=20)
    made = campaign(jobs, execute=over(scheduler.scheduler_address), progress=close)
    assert made.why == "the scheduler went away"
    assert 2 <= len(made.results) < len(jobs)
    assert made.merged["verdict"] == "inconclusive"


def test_a_scheduler_without_workers(scheduler: Any) -> None:
    scheduler.scale(0)
    scheduler.sync(scheduler._correct_state)
    begun = time.perf_counter()
    with pytest.raises(UsageError, match="has no worker: start some with `dask worker tcp://"):
        campaign(walks(), execute=over(scheduler.scheduler_address, connect=0.5))
    assert time.perf_counter() - begun < 10
