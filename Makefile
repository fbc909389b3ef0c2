# Every habit of the project is one target; `make` alone lists them.
PYTHON ?= python3
UV := .venvs/uv/bin/uv
NEWEST := .venvs/base-newest
OLDEST := .venvs/base-oldest

.PHONY: help
help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

$(UV):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(dir $(patsubst %/bin/uv,%,$@))uv
	.venvs/uv/bin/pip install -q --disable-pip-version-check uv

# An environment is as good as new while its lock file and the package's own metadata are unchanged.
.venvs/base-%/ready: requirements/base-%.txt litellm/pyproject.toml | $(UV)
	$(UV) venv -q --clear -p $(PYTHON) $(@D)
	$(UV) pip install -q -p $(@D) -r $<
	$(UV) pip install -q -p $(@D) --no-deps -e litellm
	@touch $@
