# Each target sets up what it needs in .venv inside the checkout.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup fast check check-deep quick test tests versions red-team lint bench bench-explore bench-prove bench-explorer bench-replay bench-node bench-growth soak bench-locks bench-conform kit-rates million bench-peers figure-16 hints second-prover hunt handlers handler-faults coupling progress monitoring crosshair faults mutants tla-mutants tla-claims tla-bounds shipped-mutants hunt-rates pages site peers deep clean claims

help: ## Show this help
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,tlc]'
	@touch $@

setup: .venv/installed ## Make .venv and install everything

fast: lint ## While editing: lint, types, and the tests that are not marked slow; under a minute
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m 'not slow' --quiet

check: setup ## Every reader on every model, the reference, the recordings, the faults
	$(BIN)/oneleader check

check-deep: setup ## The same, with larger bounds, and all readers where members change
	$(BIN)/oneleader check --deep

quick: setup ## The same with smaller bounds: a minute or two
	$(BIN)/oneleader check --quick

test: lint tests ## Lint, types, all tests, on every core

tests: setup
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

versions: ## The fast tests under each Python from 3.11 that is found here, in .venv-VERSION
	$(PYTHON) tests/versions.py

red-team: setup ## Every attack known on what a reader says, by the table in tests/red_team/README.md
	$(BIN)/python -m pytest tests/red_team $$(grep -o 'tests/[^`]*' tests/red_team/README.md | grep -v '^tests/red_team')

lint: setup ## ruff, mypy --strict, and the lint of the models
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m oneleader.language.lint
	$(BIN)/lint-imports

bench: setup ## Walk, prove, replay; the simulator, histories, how soon each fault is found: some 10 minutes
	$(BIN)/python -m workshop.benchmarks.bench
	$(BIN)/python -m workshop.benchmarks.bench_reference

figure-16: setup ## Election times beside the Raft paper's own: a table and docs/results/figure-16.svg
	$(BIN)/python -m workshop.benchmarks.figure16

bench-explore: setup ## The explorer's three engines and TLC, to ten million states: some 20 minutes
	$(BIN)/python -m workshop.benchmarks.bench_explore

bench-prove: setup ## All safety proofs of all models over all cores, with five seeds: some five minutes
	$(BIN)/python -m workshop.benchmarks.bench_prove 5

bench-explorer: setup ## Until an explorer's page shows its first state, and for a step, in Chromium: a minute
	$(BIN)/python -m workshop.benchmarks.bench_explorer election membership snapshots

bench-replay: setup ## Events a second that replay judges, for each model, to a million events, and beside TLC: some 10 minutes
	$(BIN)/python -m workshop.benchmarks.bench_replay

bench-histories: setup ## Verdicts on Porcupine's own histories, ours and Porcupine's (Go): a minute
	$(BIN)/python -m workshop.benchmarks.bench_histories

bench-node: setup ## The 3-node cluster beside PySyncObj and etcd, and how soon another node leads after kill -9 and SIGTERM
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,node]'
	$(BIN)/python -m workshop.benchmarks.bench_node

bench-growth: setup ## What a write costs a node at 10^4, 10^5 and 10^6 entries, and a restart: some 5 minutes
	$(BIN)/python -m workshop.benchmarks.bench_growth

soak: setup ## Faults on three nodes that compact all the time, for MINUTES (10); what clients saw is judged
	ONELEADER_SOAK_MINUTES=$(MINUTES) $(BIN)/python -m pytest -s tests/reference/node/test_soak.py

bench-conform: setup ## Judged steps a second of the kit, in process and over a child process
	$(BIN)/python -m workshop.benchmarks.bench_conform

kit-rates: setup ## How soon the kit finds each fault of the catalogue, for MINUTES (10), and docs/results/kit.md; resumes
	$(BIN)/python -m workshop kit-rates --write --minutes $(MINUTES)

million: setup ## A million judged steps each of the reference, etcd and hashicorp/raft, over all runs: some 30 minutes
	$(BIN)/python -m workshop million

bench-locks: setup ## Fenced writes a second on each store, beside its plain ones
	$(BIN)/python -m workshop.benchmarks.bench_locks

bench-peers: setup ## The explorer and the explicit-state checkers for Python on PyPI (musil: Python 3.12)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m workshop.benchmarks.bench_peers

hints: setup ## Find out which hypotheses each proof needs, and prove without any
	for model in election pre_vote replication membership snapshots lease lease_read fencing; do \
	    $(BIN)/oneleader prove $$model --no-hints; $(BIN)/oneleader prove $$model --update-hints; done

second-prover: setup ## cvc5 beside Z3 on every model, and docs/results/provers.md: an hour, out of the way; resumes
	nice $(BIN)/python -m workshop second-prover --write

MINUTES ?= 10
hunt: setup ## Draw scenarios and simulate the reference over all cores for MINUTES (10), keeping what it finds
	$(BIN)/oneleader hunt --minutes $(MINUTES)

progress: setup ## Prove what the models come to, for any number of servers, and see that each assumption is needed: some 5 minutes
	$(BIN)/python -m workshop progress

handlers: setup ## Prove the handlers for any number of servers, write docs/results/handlers.md; then within small bounds
	$(BIN)/python -m workshop handlers
	$(BIN)/python -m workshop handlers --changes
	$(BIN)/oneleader handlers --nodes 2 --log 1 --reads 2
	$(BIN)/oneleader handlers --nodes 3 --log 0; test $$? -eq 3  # without an entry nobody acts as a leader
	$(BIN)/oneleader handlers --nodes 3 --log 1 --reads 0 --only AppendEntries
	$(BIN)/oneleader handlers --nodes 2 --log 1 --reads 0 --changes

handler-faults: setup ## Ask the handlers' proof about each fault and mutant of the core for MINUTES (10), write docs/results/handler-faults.md; resumes
	$(BIN)/python -m workshop handler-faults --minutes $(MINUTES)

coupling: setup ## Leave out each fact of the handlers' coupling in turn for MINUTES (10), write docs/results/coupling.md; resumes
	$(BIN)/python -m workshop coupling --minutes $(MINUTES)

monitoring: setup ## Check the alert rules with promtool and write the dashboard
	promtool test rules monitoring/alerts.test.yml monitoring/write-up.alerts.test.yml
	$(BIN)/python monitoring/dashboard.py

crosshair: setup ## A second opinion on the core, by CrossHair: some 2 minutes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[crosshair]'
	$(BIN)/crosshair check --per_condition_timeout 15 workshop/crosshair/contracts.py
	$(BIN)/crosshair check --per_condition_timeout 15 workshop/crosshair/faulty.py; test $$? -eq 1

faults: setup ## Every reader on every fault, and docs/results/faults.md: some 3 minutes
	$(BIN)/python -m workshop faults --write

mutants: setup ## Judge every mutant of what has changed in models and core, and write docs/results/mutants*
	$(BIN)/python -m workshop mutants --write --workers 2

hunt-rates: setup ## How soon drawn scenarios find each fault, and docs/results/hunt.md: some minutes
	$(BIN)/python -m workshop hunt-rates --write

shipped-mutants: setup ## Judge every mutant of the node, the locks and the judges: hours; resumes where it stopped
	$(BIN)/python -m workshop shipped-mutants --write

tla-mutants: setup ## Compare every mutant of the TLA+ text with its model, and write docs/results/tla-mutants.md
	$(BIN)/python -m workshop tla-mutants --write --workers 2

tla-claims: setup ## For each claim of the TLA+ modules a mutant that TLC refutes by it, and docs/results/tla-claims.md
	$(BIN)/python -m workshop tla-claims --write

tla-bounds: setup ## Search for the bounds at which twins are compared with their models, and write bounds.toml
	$(BIN)/python -m workshop tla-bounds --workers 2

peers: setup ## Real Raft libraries through the public door, and docs/results/peers.md: some minutes
	$(BIN)/python -m workshop peers --write

claims: setup ## Run the commands behind the claims where their code changed; README's table and its evidence
	$(BIN)/python -m workshop claims

pages: setup ## Write all pages of docs/results, and in build/explore a page to step through each model
	$(BIN)/python -m workshop trade-offs --write
	$(BIN)/python -m workshop faults --write
	$(BIN)/python -m workshop mutants --write --workers 2
	$(BIN)/python -m workshop architecture
	$(BIN)/python -m workshop explorers
	$(BIN)/python -m workshop claims

site: setup ## The site in build/site: pages, models to step through, API; links checked, pages opened: minutes
	$(BIN)/python -m workshop site

deep: setup ## Property tests at depth: a thousand runs of each (ONELEADER_PROFILE=deep)
	ONELEADER_PROFILE=deep $(BIN)/python -m pytest tests/conformance tests/readers tests/models/test_proofs.py tests/models/test_membership.py tests/models/test_membership_on_apply.py

clean: ## Remove .venv and what was written
	rm -rf .venv .venv-3.* build runs .peers .mypy_cache .ruff_cache .pytest_cache .hypothesis
