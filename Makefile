# Two commands do everything: `make demo` and `make test`. The rest is for people who change retrap.
.PHONY: demo test test-compiled compiled check lint typecheck imports setup samples samples-all samples-check isa-campaign programs native-campaign bench bench-guests docs-refresh wheel-check lock clean help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup
RETRAP := $(BIN)/retrap
COMPILED := build/compiled
SOURCES := $(shell find machine kernel loader traces tools -name '*.py' -o -name '*.toml' -o -name '*.json')

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: compiled  ## set up, boot a sample root task, show its traps, replay the trace, diff two runs
	@PYTHONPATH=$(COMPILED) sh scripts/demo.sh $(RETRAP)

test: setup  ## set up and run the tests (minutes)
	$(BIN)/python -m pytest -q -n 2

test-compiled: compiled  ## run the tests on the copy that is compiled ahead
	PYTHONPATH=$(COMPILED) $(BIN)/python -c 'from retrap.tools.build import compiled_ahead as c; assert c(), "plain Python"'
	PYTHONPATH=$(COMPILED) $(BIN)/python -m pytest -q -n 2

compiled: $(COMPILED)/.made  ## build the trap path with a C compiler, if there is one, into build/compiled

$(COMPILED)/.made: $(SETUP) scripts/compile.sh $(SOURCES)
	@sh scripts/compile.sh $(BIN)/python $(COMPILED)
	@touch $@

setup: $(SETUP)

$(SETUP): pyproject.toml setup.py requirements.lock scripts/setup.sh
	@sh scripts/setup.sh $(PYTHON) $(VENV)
	@touch $@

check: setup lint imports typecheck  ## ruff, import floors, mypy --strict, generated documents
	$(BIN)/python -m retrap.machine.arm.table | diff -u docs/instructions-table.md -
	$(BIN)/python scripts/manifest_reference.py --check docs/manifest.schema.json
	$(BIN)/python -m retrap.kernel.abi.document --check docs/releases.md
	$(RETRAP) schema platform | diff -u docs/platform.schema.json -

lint: setup
	$(BIN)/ruff check .

imports: setup
	$(BIN)/lint-imports --no-cache

# mypy sees the installed names (retrap.kernel …) through a tree of links to the root folders.
typecheck: setup
	@mkdir -p .typing/retrap
	@for f in machine kernel loader traces tools; do ln -sfn ../../$$f .typing/retrap/$$f; done
	MYPYPATH=.typing $(BIN)/mypy .typing/retrap/machine .typing/retrap/kernel .typing/retrap/loader .typing/retrap/traces .typing/retrap/tools

samples: setup  ## build the samples again (needs gcc-arm-none-eabi); KERNEL=10.1.1: for a release, in samples/build/
ifdef KERNEL
	$(MAKE) -C samples images PYTHON=../$(BIN)/python KERNEL=$(KERNEL) BUILD=build/$(KERNEL)
else
	$(MAKE) -C samples PYTHON=../$(BIN)/python
	$(MAKE) -C samples/kernel-2006 PYTHON=../../$(BIN)/python
endif

samples-all: setup  ## build the samples for every release, in samples/build/
	@set -e; for kernel in $$($(BIN)/python -c 'from retrap.kernel.abi import bootable as b, release as r; print(*(n for n in b() if r(n).facts.address_space == "page-tables"))'); do \
	  echo "samples for $$kernel"; $(MAKE) -s -C samples images PYTHON=../$(BIN)/python KERNEL=$$kernel BUILD=build/$$kernel; \
	done

samples-check: setup  ## rebuild the samples elsewhere and compare with the committed ones
	$(MAKE) -C samples check PYTHON=../$(BIN)/python
	$(MAKE) -C samples/kernel-2006 check PYTHON=../../$(BIN)/python

N ?= 1000
SEED ?= 1
isa-campaign: setup  ## differential instruction campaign against independent CPUs: make isa-campaign N=10000 SEED=1
	$(BIN)/python tests/machine/campaign.py --cases $(N) --seed $(SEED)

BLOCKS ?= 100000
native-campaign: setup  ## random programs, evaluator against native code, resumable: make native-campaign BLOCKS=1000000
	nice $(BIN)/python tests/machine/campaign_llvm.py --blocks $(BLOCKS) --state build/native-campaign.json

bench-guests: setup  ## guest speed beside qemu-arm, unicorn and icicle-emu (needs gcc-arm-none-eabi)
	$(BIN)/python benchmarks/guest_speed.py

programs: setup  ## build whole programs and real libraries for ARM, run them here and under qemu-arm, compare
	$(BIN)/python tests/machine/programs.py --libraries

STEPS ?= 100000
laws-campaign: compiled  ## random walks under all laws, over several releases: make laws-campaign STEPS=1000000 (resumes)
	PYTHONPATH=$(COMPILED) nice -n 10 $(BIN)/python tests/kernel/laws_campaign.py --steps $(STEPS) --state build/laws-campaign.json

bench: compiled  ## measure, plain and compiled ahead: start, round trips, replay, cold code, system calls, every PC
	$(BIN)/python benchmarks/run.py --compiled $(COMPILED)
	$(BIN)/python benchmarks/cold_start.py --compiled $(COMPILED)
	$(BIN)/python benchmarks/mix.py --compiled $(COMPILED)
	for copy in "" $(COMPILED); do for what in trap_path svc instruction_trace; do \
	  PYTHONPATH=$$copy $(BIN)/python benchmarks/$$what.py || exit 1; done; done

docs-refresh: setup  ## write the generated documents again
	$(BIN)/python -m retrap.machine.arm.table >docs/instructions-table.md
	$(BIN)/python scripts/manifest_reference.py --write docs/manifest.schema.json
	$(BIN)/python -m retrap.kernel.abi.document --write docs/releases.md
	$(RETRAP) schema platform >docs/platform.schema.json

wheel-check: setup  ## build the wheel, install it elsewhere, boot a sample with it
	@sh scripts/wheel-check.sh $(BIN)/python

lock: setup  ## refresh requirements.lock from pyproject.toml
	$(BIN)/python -m pip install -q "uv<1"
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --all-extras \
	  --python-version 3.11 pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .typing build out *.egg-info
