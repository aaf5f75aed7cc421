# Every target makes first what it needs; `make setup` twice costs a second the second time.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build test test-fast demo demo-dialog bench soak fuzz lint clean

IN_ENV := tools/setup.sh && . tools/env.sh &&

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## environment and workspace: .venv and .ws (PYTHON=python3.12 to choose one)
	@PYTHON="$(PYTHON)" tools/setup.sh

build:  ## install the package into the workspace again (edits of .py files need no build)
	@tools/setup.sh --build

# Compiled Python is kept, for every worker and every process that a test starts loads it again.
# More workers than the two cores that CI has: tests of nodes wait as long as they compute.
PYTEST := PYTHONDONTWRITEBYTECODE= pytest --dist worksteal
# Which lines run: from 3.12 on Python itself tells it at little cost (coverage.py).  Before,
# tracing makes the tests take two thirds longer, so slipcover takes its marks out of the code
# again once a line has run.
TELLS_LINES := python -c 'import sys; sys.exit(sys.version_info < (3, 12))'
LINES := .ws/lines.json
PERCENT := python -c 'import json; print(round(json.load(open("$(LINES)"))["summary"]["percent_covered"]))'

test:  ## all tests (ARGS="-k face -x" goes to pytest), and how much of avemo_ros they run
	@$(IN_ENV) if $(TELLS_LINES); then \
	    COVERAGE_CORE=sysmon $(PYTEST) -n 4 --cov --cov-report= $(ARGS); status=$$?; \
	    share=$$(coverage report --format=total); \
	  else \
	    PYTHONDONTWRITEBYTECODE= python -m slipcover --source avemo_ros --json --out $(LINES) \
	      -m pytest --dist worksteal -n 4 $(ARGS); status=$$?; \
	    share=$$($(PERCENT)); \
	  fi; echo "coverage of avemo_ros by the tests' own processes: $$share %"; exit $$status

test-fast:  ## the engine, its parts, and one node: two minutes
	@$(IN_ENV) AVEMO_FAST=1 $(PYTEST) -n 3 -m "not slow" $(ARGS) test/test_engine.py test/test_timing.py \
	  test/test_doors.py test/test_pipeline.py test/test_node_stack.py test/test_audio_*.py \
	  test/test_config*.py test/test_sink_*.py test/test_state_*.py test/test_vision_*.py

demo:  ## live states, annotated video and page from a sample (CLIP=file, or SOURCE=devices; RECORD=bag)
	@$(IN_ENV) python tools/demo.py $(if $(CLIP),--clip "$(CLIP)") $(if $(SOURCE),--source "$(SOURCE)") \
	  $(if $(RECORD),--record "$(RECORD)")

demo-dialog:  ## a conversation while the sample plays (TYPED=1, CLIP=file, SPEAK=1, MODEL=name, ENDPOINT=url)
	@$(IN_ENV) python tools/demo_dialog.py $(if $(CLIP),--clip "$(CLIP)") $(if $(TYPED),--typed) \
	  $(if $(SPEAK),--speak) $(if $(ENDPOINT),--endpoint "$(ENDPOINT)") $(if $(MODEL),--model "$(MODEL)")

bench:  ## latency, CPU, memory and drops through the real nodes; writes out/bench.json
	@$(IN_ENV) python tools/bench.py $(ARGS)

soak:  ## the real node through faults of all kinds, ten minutes; page in out/soak (MINUTES=60, ARGS="--list")
	@$(IN_ENV) python tools/soak.py $(if $(MINUTES),--minutes "$(MINUTES)") $(ARGS)

fuzz:  ## 100,000 malformed inputs: each is read, or refused with a clear error (CASES=1000, ARGS="--door labels")
	@$(IN_ENV) OMP_NUM_THREADS=1 python tools/fuzz.py $(if $(CASES),--cases "$(CASES)") $(ARGS)

lint:  ## ruff, import contract, mypy
	@$(IN_ENV) ruff check . && ruff check --select SLF --ignore-noqa test && ruff format --check . && lint-imports --no-logo --no-cache && mypy

clean:  ## remove the environment and the workspace; what is in out/ stays
	rm -rf .venv .ws build avemo_ros.egg-info
