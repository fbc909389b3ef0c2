"""A small proxy that behaves towards clients and scrapers as LiteLLM does, for tests without network and LiteLLM.

Run it with `python -m tests.fixture_proxy`, or from a test:

    from tests.fixture_proxy import start
    from tests.fixture_proxy.traffic import drive

    with start('--release', '1.83.0', '--no-auth') as proxy:
        sent = drive(proxy.url, proxy.key, requests=40)
        page = proxy.scrape()

Requests move the families, as they do in LiteLLM; latencies are simulated from `--seed` and observed, not slept.
`traffic.exercise` moves every family that the release has, with jobs and controls where requests do not reach.
What a test may change while the proxy runs is listed in `control.py`, request headers in `llm_api.py`.

`test_conformance.py` holds it against pages of the real LiteLLM, `test_outages.py` and `test_fixture_routes.py` against
what that does in faults and for each route; what may differ is listed in their `allowed.csv`. Beyond that, help texts
are the fixture's own, end users are told unless `--no-end-users` is given (LiteLLM wants
`enable_end_user_cost_tracking_prometheus_only` for them), and simulated time moves by what requests are said to take.
"""

from __future__ import annotations

from .launch import FixtureProxy, StartError, start

__all__ = ['FixtureProxy', 'StartError', 'start']
