# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
INTO ?= artifacts
LAB := $(BIN)/python -m lab
PYTEST := $(BIN)/pytest -q --durations=20
PYINFRA := $(BIN)/pyinfra $(if $(findstring --dry,$(ARGS)),,-y) --ssh-user root --ssh-key .lab/id_ed25519 --group-data .lab/group_data inventory.py

.PHONY: help demo demo-down deploy artifacts bundle unbundle flags prove test beside check fix unit plan quick lab-test virtual-node-test virtual-test
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/installed ## machines at the inventory's addresses, and the cluster on them; RELEASE=1.37.2 for another one
	$(LAB) demo $(if $(RELEASE),--release $(RELEASE))

demo-down: .venv/installed ## remove the machines, networks and routes; sysctls as before; .lab/ and the cache stay
	$(LAB) down

deploy: .venv/installed ## deploy to the lab's machines once more; ARGS are pyinfra's, such as ARGS=--dry
	$(PYINFRA) deploy.py $(ARGS)

artifacts: .venv/installed ## fetch all releases that the cluster needs, ahead of time
	$(BIN)/python -m kubeinfra artifacts inventory.py $(ARGS)

bundle: .venv/installed ## all that a controller without a network needs, in one file; ARGS=--no-images
	$(BIN)/python -m kubeinfra bundle inventory.py $(ARGS)

unbundle: ## the way back, without a network: BUNDLE=FILE into the directory artifacts, and .venv from it
	$(if $(BUNDLE),,$(error name the file: make unbundle BUNDLE=FILE))
	$(PYTHON) -m kubeinfra.artifacts.unbundle $(BUNDLE) $(INTO)
	@test ! -d $(INTO)/wheels || \
		PIP_NO_INDEX=1 PIP_FIND_LINKS=$(abspath $(INTO)/wheels) $(MAKE) --no-print-directory .venv/installed

flags: .venv/installed ## tests/data/flags: the flags of every minor's components, built from source; MINOR=1.29 for one
	$(BIN)/python -m lab.flags $(MINOR)

test: .venv/installed ## style, types, unit, plan and lab, with the slowest tests and the time of each part; what CI runs
	$(BIN)/python -m tests.budget lab-test+beside

beside: quick virtual-node-test ## what `make test` runs while the lab's machines are busy

quick: .venv/installed ## all but the lab, two things at a time
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target check unit plan

# mypy takes the directories of tests one by one, as each has a module `conftest`.
check: .venv/installed ## style, types, which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy && $(BIN)/mypy tests/plan && $(BIN)/mypy tests/lab
	$(BIN)/lint-imports --no-logo

fix: .venv/installed ## what a tool can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit: .venv/installed ## pure functions, in two minutes
	$(PYTEST) --timeout 300 tests/unit

plan: .venv/installed ## the real command line on simulated machines, in several minutes
	$(PYTEST) --timeout 600 tests/plan

lab-test: .venv/installed ## the real thing on the lab's machines, in about three quarters of an hour
	$(PYTEST) tests/lab --ignore tests/lab/test_virtual_machine.py

virtual-node-test: .venv/installed ## of the lab's tests those of a node with a kernel of its own
	$(PYTEST) tests/lab/test_virtual_machine.py -k node-only

virtual-test: .venv/installed ## all of those, and the same with a machine that is everything, in three quarters of an hour
	$(PYTEST) tests/lab/test_virtual_machine.py

prove: .venv/installed ## deploy a minor to two bare machines, and record how it went; MINOR=1.30, or MINOR="1.29 1.30"
	MINOR="$(or $(MINOR),$(error which? MINOR=1.30, or several: MINOR="1.29 1.30"))" $(PYTEST) tests/lab/prove.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
