# make demo             a synthetic whole spine, segmented from end to end
# make demo SCAN=path   the same on a scan: NIfTI, NRRD, MetaImage, a DICOM folder or file
# make test             checks and all the tests, side by side on the processor's cores (PYTEST="-n 0": one by one)
# make bench            what a run costs on this machine, as JSON in bench.json (BEFORE=earlier.json: compare)
# make faults           ends and fails commands at every one of their file operations (minutes)
# make fuzz             many damaged files and commands in any order (minutes; FUZZ=2000: examples of each kind)
# make life             200 segmentations and 500 recounts in one process: memory and open files (Linux)
# make clean            removes the environment and the demo's results
#
# Needed: Python 3.11 or later with venv, and make. Everything else goes into $(VENV), once.

VENV ?= .venv
DEMO ?= demo
SCAN ?=
PYTEST ?=
BENCH ?= bench.json
BEFORE ?=

# PyTorch: the build for NVIDIA cards only where there is one. On Linux the processor build is asked for by its
# full version, so that no CUDA package can slip in when its index is out of reach (the install stops instead).
# Only PyTorch itself comes from there (--no-deps); what it needs comes from the usual index in the next step.
# Another build: make demo TORCH="torch==2.12.0" TORCH_INDEX=https://...
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH_VERSION = 2.13.0
HAS_NVIDIA := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU && echo yes)
ifeq ($(HAS_NVIDIA),yes)
TORCH ?= torch==$(TORCH_VERSION)
TORCH_KIND = for NVIDIA cards
else ifeq ($(shell uname -s),Linux)
TORCH ?= torch==$(TORCH_VERSION)+cpu
TORCH_FLAGS = --extra-index-url $(TORCH_INDEX)
TORCH_KIND = for the processor
else
TORCH ?= torch==$(TORCH_VERSION)
TORCH_KIND = for this machine
endif

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input
LOG = $(VENV)/install.log
SPINALTAP = $(BIN)/spinaltap
VENV_READY = $(VENV)/.made
RUN_READY = $(VENV)/.run-ready
TEST_READY = $(VENV)/.test-ready

.PHONY: demo test bench faults fuzz life check clean
.DELETE_ON_ERROR:

ifeq ($(SCAN),)
RESULT = $(DEMO)/phantom-7-whole-t2
demo: $(RUN_READY)
	@echo "Drawing a synthetic whole spine ..."
	@$(SPINALTAP) phantom --output $(DEMO) --seed 7 --region whole --sequence t2 >/dev/null
	@$(SPINALTAP) segment $(DEMO)/phantom-7-whole-t2.nii.gz --output $(RESULT)
else
RESULT = $(DEMO)/scan
demo: $(RUN_READY)
	@$(SPINALTAP) segment "$(SCAN)" --output $(RESULT)
endif
	@echo
	@echo "Picture:   $(RESULT)/report.png"
	@echo "Surfaces:  $(RESULT)/surfaces/*.stl"
	@echo "In Slicer: $(RESULT)/vertebrae.seg.nrrd"

# Each process takes about 1 GB; a test file stays with one of them as far as that is fair.
SIDE_BY_SIDE = --numprocesses auto --maxprocesses 8 --dist worksteal

# All three run, whatever the first ones say; pytest's result comes last.
test: $(TEST_READY)
	@failed=0; \
	$(BIN)/ruff check --quiet . || failed=1; \
	$(BIN)/mypy || failed=1; \
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) $(PYTEST) || failed=1; \
	exit $$failed

bench: $(TEST_READY)
	@$(BIN)/python docs/measure_speed.py $(BENCH) $(BEFORE)

FUZZ ?= 500
SUPPORT = PYTHONPATH=$(CURDIR):$(CURDIR)/Testing/support

faults: $(TEST_READY)
	@$(SUPPORT) $(BIN)/python Testing/support/faults.py

fuzz: $(TEST_READY)
	@SPINALTAP_FUZZ=$(FUZZ) SPINALTAP_COMMANDS=$(FUZZ) $(BIN)/python -m pytest -q Testing/reliability/test_fuzz.py \
	 Testing/reliability/test_session_machine.py

life: $(TEST_READY)
	@$(SUPPORT) $(BIN)/python Testing/benchmarks/long_life.py

check: $(TEST_READY)
	@$(BIN)/ruff check .
	@$(BIN)/mypy

clean:
	rm -rf $(VENV) $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache

# One line for each step; pip's own words go to the log, and are shown when a step fails.
define pip_install
	@echo "Installing $(1) ..."
	@$(PIP) install $(2) >>$(LOG) 2>&1 || { tail -n 15 $(LOG); \
	 echo "Installing $(1) failed; the whole log is in $(LOG)."; exit 1; }
endef

$(VENV_READY):
	@found=; for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14); do \
	 if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	 then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then echo "SpinalTap needs Python 3.11 or later with the module venv" \
	 "(Debian, Ubuntu: apt install python3-venv). Found none; name one with make PYTHON=path."; exit 1; fi; \
	echo "Making the environment $(VENV) with $$($$found --version) ..."; \
	$$found -m venv $(VENV)
	@touch $@

$(RUN_READY): $(VENV_READY) pyproject.toml
	@: >$(LOG)
	$(call pip_install,PyTorch $(TORCH_KIND) (about 200 MB; more with CUDA),--no-deps --retries 1 --timeout 20 $(TORCH_FLAGS) "$(TORCH)")
	$(call pip_install,SpinalTap and its libraries,--editable .)
	@touch $@

$(TEST_READY): $(RUN_READY)
	$(call pip_install,the tools for the tests,--editable ".[test]")
	@touch $@
