# Every habit of the project is one target; `make` alone lists them.
PYTHON ?= python3
UV := .venvs/uv/bin/uv
NEWEST := .venvs/base-newest
OLDEST := .venvs/base-oldest
DDEV := .venvs/ddev

# Trust what the system trusts, as pip does: a company's proxy may have a certificate of its own.
export UV_SYSTEM_CERTS = 1

# The pairs at both ends of what is supported, as far as their Python is installed.
# PYTHON=... on the command line is taken for both.
given = $(filter command line,$(origin PYTHON))
newest_python = $(if $(given),command -v $(PYTHON),scripts/find-python 3.13 3.12 3.11)
fuzz_python = $(newest_python)
oldest_python = $(if $(given),command -v $(PYTHON),scripts/find-python 3.11 3.12 3.13)

.PHONY: help
help:
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{sub(/:.*/, "", $$1); printf "make %-10s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(NEWEST)/ready  ## see what the Agent would collect from a LiteLLM proxy: a small stand-in proxy, traffic, a report
	@cd litellm && ../$(NEWEST)/bin/python -m tests.demo

# The key goes by the environment, where neither make nor ps shows it.
ifdef KEY
preview: export LITELLM_METRICS_KEY := $(KEY)
endif
.PHONY: preview pictures
preview: $(NEWEST)/ready  ## draw the dashboards from a day of the fixture proxy, or from your proxy with URL=… KEY=…
	@cd litellm && ../$(NEWEST)/bin/python -m tests.preview $(URL)

pictures: $(NEWEST)/ready  ## renew the pictures of the dashboards in litellm/images, with Chromium
	@cd litellm && ../$(NEWEST)/bin/python -m tests.preview --pictures images

.PHONY: test test-newest test-oldest test-tools
test:  ## run all tests, the real LiteLLM included, on the newest and the oldest base package
	@echo 'Testing on two base packages at a time. Each prints when it is done: three to six minutes.'
	@$(MAKE) --no-print-directory -j2 -Otarget test-newest test-oldest test-tools

# Which branches of the check the tests take is recorded by the way, on one base package.
cover = --cov --cov-config=../pyproject.toml --cov-report=

.PHONY: coverage
coverage: $(NEWEST)/ready  ## say which branches of the check `make test` and `make faults` did not take; fails below 95 %
	@cd litellm && ../$(NEWEST)/bin/python -m tests.branches

# What the tests stand on has nothing to do with the base package: once is enough.
tools = $(addprefix tests/test_,asset_style.py assets.py branches.py conformance.py datadog_dashboards.py datadog_model.py \
	docs.py drift.py fixture_proxy.py habits.py matrix.py preview.py scale.py wheel.py)
# Minutes long, and a target of their own.
drills = tests/test_drills.py tests/test_real_drills.py
faults = $(addprefix tests/test_,concurrency.py faults.py fuzz.py memory.py soak.py)
elsewhere = $(addprefix --ignore=,$(tools) $(drills) $(faults))

test-newest: $(NEWEST)/ready
	cd litellm && ../$(NEWEST)/bin/python -m pytest -q tests $(elsewhere) --ignore tests/test_real_exactness.py $(cover)

test-oldest: $(OLDEST)/ready
	cd litellm && ../$(OLDEST)/bin/python -m pytest -q tests $(elsewhere) --ignore-glob 'tests/test_real_*.py'

test-tools: $(NEWEST)/ready
	cd litellm && ../$(NEWEST)/bin/python -m pytest -q $(tools)

.PHONY: faults faults-newest faults-oldest
faults:  ## play 230 faults to the check on live sockets, on the newest and the oldest base package
	@$(MAKE) --no-print-directory -j2 -Otarget faults-newest faults-oldest

faults-newest: $(NEWEST)/ready
	cd litellm && ../$(NEWEST)/bin/python -m pytest -q $(faults) $(cover) --cov-append

faults-oldest: $(OLDEST)/ready
	cd litellm && ../$(OLDEST)/bin/python -m pytest -q $(faults)

.PHONY: exactness
exactness: $(NEWEST)/ready  ## kill, restart and expire the real LiteLLM, and compare what the Agent counts with what was sent
	cd litellm && ../$(NEWEST)/bin/python -m pytest -q tests/test_real_exactness.py

.PHONY: drills drills-table
drills: $(NEWEST)/ready  ## play faults on a proxy, the real one as well: does each monitor notice its own, has each panel data
	cd litellm && ../$(NEWEST)/bin/python -m pytest -q $(drills)

drills-table: $(NEWEST)/ready  ## play them, and write what each monitor did into assets/monitors/README.md
	cd litellm && ../$(NEWEST)/bin/python -m tests.drills --write

.PHONY: bench
bench: $(NEWEST)/ready  ## measure the scraper beside the base package's
	@cd litellm && ../$(NEWEST)/bin/python -m tests.bench

.PHONY: fuzz soak
# Seconds that the fuzzer runs.
SECONDS = 30
fuzz: .venvs/base-fuzz/ready  ## feed the line path with inputs that reach new code, for SECONDS=30
	@cd litellm && ../$(<D)/bin/python -m tests.fuzz $(SECONDS)

soak: $(NEWEST)/ready  ## scrape a churning page 2,000 times: memory, descriptors, threads and counts
	@cd litellm && ../$(NEWEST)/bin/python -m tests.soak

.PHONY: scale
scale: $(NEWEST)/ready  ## measure what many proxies, large pages and each lever cost; ARGS=--write renews docs/scale.md
	@cd litellm && ../$(NEWEST)/bin/python -m tests.scale $(ARGS)

.PHONY: drift e2e e2e-ci
drift: $(NEWEST)/ready  ## compare our names with the newest LiteLLM release, or with RELEASE=x.y.z
	@cd litellm && ../$(NEWEST)/bin/python -m tests.drift $(RELEASE)

e2e: $(NEWEST)/ready  ## run the real proxy at eight releases from 1.60 on, with the same traffic
	@cd litellm && ../$(NEWEST)/bin/python -m tests.matrix

e2e-ci: $(NEWEST)/ready  ## run the oldest, one of the middle and the newest of them
	@cd litellm && ../$(NEWEST)/bin/python -m tests.matrix --ci

.PHONY: wheel agents
wheel: $(NEWEST)/ready  ## build the wheel into dist/: the same bytes from the same sources
	@cd litellm && ../$(NEWEST)/bin/python -m hatchling build -t wheel -d ../dist

# The Agents whose base package is tried, and the Pythons that the integration says it runs on.
AGENTS = $(patsubst requirements/agent-%.in,%,$(wildcard requirements/agent-*.in))
PYTHONS = $(shell sed -n 's/.*Programming Language :: Python :: \([0-9.]*\).*/\1/p' litellm/pyproject.toml)
AGENT_ENVIRONMENTS = $(foreach agent,$(AGENTS),$(foreach python,$(PYTHONS),.venvs/agents/$(agent)-python$(python)/ready))

agents: $(NEWEST)/ready $(AGENT_ENVIRONMENTS)  ## try the wheel as Agents since 7.68 install it; ARGS=--write renews docs/agents.md
	@cd litellm && ../$(NEWEST)/bin/python -m tests.agents $(ARGS)

.PHONY: hooks
hooks: $(NEWEST)/ready  ## have git run the formatter, linter, types and quick checks before each commit
	$(NEWEST)/bin/pre-commit install

.PHONY: check lint format
check: lint validate test faults coverage fuzz soak exactness e2e-ci drills agents  ## all that the gate demands

lint: $(NEWEST)/ready  ## formatter, linter and types
	$(NEWEST)/bin/ruff format --check .
	$(NEWEST)/bin/ruff check .
	$(NEWEST)/bin/mypy
	$(NEWEST)/bin/pre-commit validate-config

format: $(NEWEST)/ready  ## let the formatter and the linter mend what they can
	$(NEWEST)/bin/ruff check --fix-only .
	$(NEWEST)/bin/ruff format .

.PHONY: validate generate
validate: $(DDEV)/ready  ## ddev's validations: one line each, generated files in sync included
	$(DDEV)/bin/python scripts/validate.py

generate: $(DDEV)/ready  ## write the configuration files and models from spec.yaml, then validate
	$(DDEV)/bin/python scripts/validate.py --sync

.PHONY: lock
compile = $(UV) pip compile -q --upgrade --universal --no-emit-index-url --annotation-style line \
	--custom-compile-command 'make lock'
lock: $(UV)  ## renew the pinned development dependencies
	$(compile) --python-version 3.11 requirements/base-newest.in -o requirements/base-newest.txt
	$(compile) --python-version 3.11 requirements/base-oldest.in -o requirements/base-oldest.txt
	$(compile) --python-version 3.11 requirements/base-fuzz.in -o requirements/base-fuzz.txt
	$(compile) --python-version 3.13 requirements/ddev.in -o requirements/ddev.txt
	for agent in $(AGENTS); do \
		$(compile) --python-version 3.11 requirements/agent-$$agent.in -o requirements/agent-$$agent.txt; \
	done
	for release in requirements/litellm-*.in; do \
		$(compile) --python-version 3.11 $$(sed -n 's/^# uv: //p' $$release) $$release -o $${release%.in}.txt; \
	done

.PHONY: clean
clean:  ## remove what the other targets made
	rm -rf .cache .venvs dist .mypy_cache .pytest_cache .ruff_cache .hypothesis litellm/.hypothesis litellm/.pytest_cache

# An environment is as good as new while its lock file and the package's own metadata are unchanged.
$(UV):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venvs/uv
	.venvs/uv/bin/pip install -q --disable-pip-version-check uv

.venvs/base-%/ready: requirements/base-%.txt litellm/pyproject.toml scripts/find-python | $(UV)
	python=$$($($*_python)) && $(UV) venv -q --clear -p "$$python" $(@D)
	$(UV) pip install -q -p $(@D) -r $<
	$(UV) pip install -q -p $(@D) --no-deps -e litellm
	@touch $@

define agent_environment
.venvs/agents/$(1)-python$(2)/ready: requirements/agent-$(1).txt scripts/find-python | $$(UV)
	python=$$$$(scripts/find-python $(2)) && $$(UV) venv -q --clear -p "$$$$python" $$(@D)
	$$(UV) pip install -q -p $$(@D) -r $$<
	@touch $$@
endef
$(foreach agent,$(AGENTS),$(foreach python,$(PYTHONS),$(eval $(call agent_environment,$(agent),$(python)))))

$(DDEV)/ready: requirements/ddev.txt scripts/find-python | $(UV)
	python=$$(scripts/find-python 3.13) && $(UV) venv -q --clear -p "$$python" $(@D)
	$(UV) pip install -q -p $(@D) -r $<
	@touch $@
