# Everything that the project does regularly is one target; `make` alone lists them.
PYTHON ?= python3
UV := .venvs/uv/bin/uv
NEWEST := .venvs/base-newest
OLDEST := .venvs/base-oldest
DDEV := .venvs/ddev

# Trust what the system trusts, as pip does: a company's proxy may have a certificate of its own.
export UV_SYSTEM_CERTS = 1
export NODE_USE_SYSTEM_CA = 1

# The pairs at both ends of what is supported, as far as their Python is installed.
# PYTHON=... on the command line is taken for both.
given = $(filter command line,$(origin PYTHON))
newest_python = $(if $(given),command -v $(PYTHON),tools/find-python 3.13 3.12 3.11)
fuzz_python = $(newest_python)
oldest_python = $(if $(given),command -v $(PYTHON),tools/find-python 3.11 3.12 3.13)

.PHONY: help
help:
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{sub(/:.*/, "", $$1); printf "make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(NEWEST)/ready  ## report what the Agent would collect, from a stand-in LiteLLM proxy with traffic
	@$(NEWEST)/bin/python -m tools.demo

# KEY=… is an argument of make: every user of this host sees it in ps while make runs, and it stays in the shell's
# history. KEY_FILE=… is neither, nor is an exported LITELLM_METRICS_KEY. From here on, the key goes by the environment.
ifdef KEY
preview: export LITELLM_METRICS_KEY := $(KEY)
endif
.PHONY: preview pictures
preview: $(NEWEST)/ready  ## render the dashboards with a day of the fixture proxy, or your proxy with URL=… KEY_FILE=…
	@$(NEWEST)/bin/python -m tools.preview $(URL) $(if $(KEY_FILE),--key-file '$(abspath $(KEY_FILE))')

pictures: $(NEWEST)/ready  ## update the dashboard screenshots in litellm/images, with Chromium
	@$(NEWEST)/bin/python -m tools.preview --pictures litellm/images

.PHONY: test test-newest test-oldest test-tools test-fixture
test:  ## run all tests, also on the real LiteLLM, on the newest and the oldest base package
	@echo 'Testing on two base packages in parallel, which takes three to six minutes. Each prints its output when done.'
	@$(MAKE) --no-print-directory -j3 -Otarget test-newest test-oldest test-tools test-fixture

# With COVER=yes, as in `make check`, it is recorded by the way which branches of the check the tests take, on one base
# package. That takes half as long again.
cover = $(if $(COVER),--cov --cov-config=../pyproject.toml --cov-report=)

.PHONY: coverage
coverage: $(NEWEST)/ready  ## list branches of the check that `make test faults COVER=yes` missed; fails below 95%
	@$(NEWEST)/bin/python -m tools.branches

test-newest: $(NEWEST)/ready
	cd litellm && ../$(NEWEST)/bin/python -m pytest -q tests/unit tests/laws tests/http $(cover)

# The form of secrets is none of the base package's. On the oldest one, with its Python, it is left to `make faults`, as
# this is what `make test` waits for.
of_secrets = tests/laws/test_outgoing.py

test-oldest: $(OLDEST)/ready
	cd litellm && ../$(OLDEST)/bin/python -m pytest -q tests/unit tests/laws tests/http --ignore $(of_secrets)

test-tools: $(NEWEST)/ready
	$(NEWEST)/bin/python -m pytest -q tools/tests/quick tools/tests/real

test-fixture: $(NEWEST)/ready
	cd litellm && ../$(NEWEST)/bin/python -m pytest -q tests/fixture

.PHONY: faults faults-newest faults-oldest
faults:  ## expose the check to faults on live sockets, on the newest and the oldest base package
	@$(MAKE) --no-print-directory -j2 -Otarget faults-newest faults-oldest

faults-newest: $(NEWEST)/ready
	cd litellm && ../$(NEWEST)/bin/python -m pytest -q tests/faults $(if $(COVER),$(cover) --cov-append)

faults-oldest: $(OLDEST)/ready
	cd litellm && ../$(OLDEST)/bin/python -m pytest -q tests/faults $(of_secrets)

.PHONY: exactness
exactness: $(NEWEST)/ready  ## compare counts with what was sent while the real LiteLLM is killed, restarted and expires series
	$(NEWEST)/bin/python -m pytest -q tools/tests/exactness

.PHONY: import
import: $(NEWEST)/ready  ## import or update all assets in a Datadog account: ARGS='--env x --notify @y', --write to do it
	@$(NEWEST)/bin/python -m tools.import_assets $(ARGS)

.PHONY: drills real-drills
drills: $(NEWEST)/ready  ## inject faults into the fixture: each monitor must alert on its own, each panel have data
	$(NEWEST)/bin/python -m pytest -q tools/tests/drills

real-drills: $(NEWEST)/ready  ## inject faults into the real LiteLLM with its database: monitors must do what the drills say
	$(NEWEST)/bin/python -m pytest -q tools/tests/real_drills

.PHONY: bench
bench: $(NEWEST)/ready  ## measure what scraping costs the Agent and LiteLLM; ARGS=scrapes for one table, ARGS=--write updates all
	@$(NEWEST)/bin/python -m tools.bench $(ARGS)

.PHONY: fuzz soak
# Seconds that the fuzzer runs.
SECONDS = 30
# With any other than 0 it draws the same inputs each time, as long as the code is the same.
SEED = 0
fuzz: .venvs/base-fuzz/ready  ## fuzz the parser, guided by coverage, for SECONDS=30
	@PYTHONHASHSEED=$(SEED) $(<D)/bin/python -m tools.fuzz $(SECONDS) --seed $(SEED)

soak: $(NEWEST)/ready  ## scrape a churning page 2,000 times, and check memory, descriptors, threads and counts
	@$(NEWEST)/bin/python -m tools.soak

.PHONY: drift e2e e2e-ci
drift: $(NEWEST)/ready  ## check that every metric family of the newest LiteLLM, or of RELEASE=x.y.z, is mapped
	@$(NEWEST)/bin/python -m tools.drift $(RELEASE)

e2e: $(NEWEST)/ready  ## test the real proxy in each release of requirements/litellm-*.in under the same traffic
	@$(NEWEST)/bin/python -m tools.matrix

e2e-ci: $(NEWEST)/ready  ## run `make e2e` on the oldest, the oldest without a license and the newest release only
	@$(NEWEST)/bin/python -m tools.matrix --ci

.PHONY: wheel release agents
# The path of the wheel is printed, from here, and nothing else: hatchling's is from litellm/.
wheel: $(NEWEST)/ready  ## build the wheel into dist/, reproducibly
	@rm -f dist/datadog_litellm-*.whl
	@cd litellm && ../$(NEWEST)/bin/python -m hatchling build -t wheel -d ../dist >/dev/null
	@ls dist/datadog_litellm-*.whl

release: $(NEWEST)/ready  ## build wheel, checksum and notes into dist/; with TAG=v… only if that is the version's
	@$(NEWEST)/bin/python -m tools.release $(if $(TAG),--tag '$(TAG)')

# The Agents whose base package is tried, and the Pythons that the integration says it runs on.
AGENTS = $(patsubst requirements/agent-%.in,%,$(wildcard requirements/agent-*.in))
PYTHONS = $(shell sed -n 's/.*Programming Language :: Python :: \([0-9.]*\).*/\1/p' litellm/pyproject.toml)
AGENT_ENVIRONMENTS = $(foreach agent,$(AGENTS),$(foreach python,$(PYTHONS),.venvs/agents/$(agent)-python$(python)/ready))

agents: $(NEWEST)/ready $(AGENT_ENVIRONMENTS)  ## test the wheel as Agents since 7.68 install it; ARGS=--write updates docs/agents.md
	@$(NEWEST)/bin/python -m tools.agents $(ARGS)

.PHONY: hooks
hooks: $(NEWEST)/ready  ## install git hooks: formatter, linter, types and quick checks before each commit
	$(NEWEST)/bin/pre-commit install

.PHONY: check lint format
# In this order, one after the other: `exactness` wants the machine for itself, as it kills workers of the real LiteLLM.
check: export COVER = yes
# A gate says of a change whether it is sound, so it may not depend on luck. Every night, new inputs are drawn.
check: SEED = 1
check: lint validate test faults coverage fuzz soak exactness e2e-ci drills real-drills agents  ## run everything that CI requires

lint: $(NEWEST)/ready .venvs/workflows/ready  ## check formatting, lint, types, workflow files and examples
	$(NEWEST)/bin/ruff format --check .
	$(NEWEST)/bin/ruff check .
	$(NEWEST)/bin/mypy
	$(NEWEST)/bin/pre-commit validate-config
	.venvs/workflows/bin/zizmor --offline --no-progress -q --persona auditor .github
	.venvs/workflows/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venvs/workflows/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	.venvs/workflows/bin/check-jsonschema --builtin-schema vendor.compose-spec litellm/examples/docker/compose.yaml
	.venvs/workflows/bin/cfn-lint litellm/examples/ecs/task.yaml

format: $(NEWEST)/ready  ## apply the formatter and the linter's fixes
	$(NEWEST)/bin/ruff check --fix-only .
	$(NEWEST)/bin/ruff format .

.PHONY: follow derive
follow: $(NEWEST)/ready  ## take LiteLLM RELEASE=x.y.z into the lineage, the lock files and the matrix; repeat until it passes
	@: $(or $(RELEASE),$(error which one? make follow RELEASE=x.y.z))
	test -e $(lock_of_release) || printf '%s\n' '# LiteLLM $(RELEASE) with the dependencies of its own day, for tools/matrix.' \
		"# uv: --exclude-newer $$(date -u +%F)" 'litellm[proxy]==$(RELEASE)' prometheus-client prisma==0.11.0 > $(lock_of_release)
	test $(lock_of_release:.in=.txt) -nt $(lock_of_release) || $(MAKE) --no-print-directory lock ONLY=litellm-$(RELEASE)
	$(NEWEST)/bin/python -m tools.drift --write $(RELEASE)
	$(NEWEST)/bin/python -m tools.drift $(RELEASE)
	$(NEWEST)/bin/python -m tools.derive --write
	$(NEWEST)/bin/python -m tools.matrix --write $(RELEASE)

lock_of_release = requirements/litellm-$(RELEASE).in

derive: $(NEWEST)/ready  ## write what follows from other files: rows of metadata.csv, manifest.json, lists in the pages
	@$(NEWEST)/bin/python -m tools.derive --write

.PHONY: validate generate
validate: $(DDEV)/ready  ## run ddev's validations, one line each, including that generated files are in sync
	$(DDEV)/bin/python -P tools/validate.py

generate: $(DDEV)/ready  ## generate the configuration files and models from spec.yaml, then validate
	$(DDEV)/bin/python -P tools/validate.py --write

.PHONY: lock
# Each requirements/*.in is a lock of its own. Its line `# uv: …` holds what uv needs for it beyond the usual.
LOCKS = $(if $(ONLY),$(ONLY),$(basename $(notdir $(wildcard requirements/*.in))))
compile = $(UV) pip compile -q $(if $(PACKAGE),--upgrade-package $(PACKAGE),--upgrade) --universal --no-emit-index-url \
	--annotation-style line --custom-compile-command 'make lock'
lock: $(UV)  ## update the pinned dependencies: all, or those of ONLY='base-newest litellm-1.88.6', or PACKAGE=ruff
	@set -e; for lock in $(LOCKS); do \
		options=$$(sed -n 's/^# uv: //p' requirements/$$lock.in); \
		case $$options in *--python-version*) ;; *) options="$$options --python-version 3.11" ;; esac; \
		echo "requirements/$$lock.txt"; \
		$(compile) $$options requirements/$$lock.in -o requirements/$$lock.txt; \
	done

.PHONY: clean
clean:  ## remove everything that the other targets created
	rm -rf .cache .venvs dist .mypy_cache .pytest_cache .ruff_cache .hypothesis litellm/.hypothesis litellm/.pytest_cache

# An environment is as good as new while its lock file and the package's own metadata are unchanged.
$(UV):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venvs/uv
	.venvs/uv/bin/pip install -q --disable-pip-version-check uv

.venvs/base-%/ready: requirements/base-%.txt litellm/pyproject.toml tools/find-python | $(UV)
	python=$$($($*_python)) && $(UV) venv -q --clear -p "$$python" $(@D)
	$(UV) pip install -q -p $(@D) --no-deps -r $< -e litellm
	@touch $@

.venvs/workflows/ready: requirements/workflows.txt tools/find-python | $(UV)
	python=$$(tools/find-python 3.13 3.12 3.11) && $(UV) venv -q --clear -p "$$python" $(@D)
	$(UV) pip install -q -p $(@D) --no-deps -r $<
	@touch $@

define agent_environment
.venvs/agents/$(1)-python$(2)/ready: requirements/agent-$(1).txt tools/find-python | $$(UV)
	python=$$$$(tools/find-python $(2)) && $$(UV) venv -q --clear -p "$$$$python" $$(@D)
	$$(UV) pip install -q -p $$(@D) --no-deps -r $$<
	@touch $$@
endef
$(foreach agent,$(AGENTS),$(foreach python,$(PYTHONS),$(eval $(call agent_environment,$(agent),$(python)))))

$(DDEV)/ready: requirements/ddev.txt tools/find-python | $(UV)
	@tools/find-python 3.13 >/dev/null || { echo '`make validate` and `make generate` need it, because ddev does.' >&2; exit 1; }
	python=$$(tools/find-python 3.13) && $(UV) venv -q --clear -p "$$python" $(@D)
	$(UV) pip install -q -p $(@D) --no-deps -r $<
	@touch $@
