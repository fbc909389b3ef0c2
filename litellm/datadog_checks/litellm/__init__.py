"""The check, room by room: a room imports only from rooms further down, and none of them in a circle.

Data goes up, from HTTP to the Agent: `transport` fetches bytes, `page` makes lines, samples and increments of them,
asking `mapping` what each is called, and `scrapers` submit these. `tests/unit/test_architecture.py` reads this map.

    __main__.py      the command `python -m datadog_checks.litellm`
    doctor/          what is wrong with an installation, its options and its proxy: what `… doctor` prints
    report/          two runs of the check, and what they send, cost and disclose: what the command prints
    check.py         the class that the Agent loads: makes the scraper and the probes of an instance
    probes/          the proxy's other endpoints: health of models, readiness, version
    scrapers/        request a page and submit what happened, or leave it to the base package's own scraper
    page/            read a page: its text, its samples, increments of counts, the limit on contexts
    mapping/         the name, tags and reduction of a family; labels that must not leave the host
    transport/       HTTP: URLs, credentials, limits on time and size, errors that say what to do
    options.py       the check's own options, read once and typed, with the defaults of spec.yaml
    metrics.py       which family of LiteLLM becomes which metric, and in which group it is
    secret_forms.py  what is a secret by its form or place: keys of issuers, tokens, user-info of addresses
    secrets.py       what an instance knows and must not tell, and the gate for all text on its way out
    base_package.py  all that is taken from private parts of the base package
    config_models/   models of all options, generated from spec.yaml
    __about__.py     the version

Words are those of the field. Prometheus': an exposition, here called page, has families, a family has series, which are
told apart by labels, and a series has samples; a series that is no longer exposed is stale, and a counter that starts
over is reset. Datadog's: a context is a metric with one set of tags on one host, and a point is a value of it.
"""

import sys

from .__about__ import __version__

try:
    from .check import LitellmCheck
except ModuleNotFoundError as error:
    # The command line is not even found without this package. While Python looks for it, this is its first argument.
    if sys.argv[:1] != ['-m']:
        raise
    sys.stderr.write(f"error: this Python has no module {error.name}: pip install 'datadog-checks-base[deps]'\n")
    sys.exit(2)

__all__ = ['LitellmCheck', '__version__']
