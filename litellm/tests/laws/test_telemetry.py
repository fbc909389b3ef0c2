"""Hold that `telemetry` tells of a scrape what the base package's own scraper tells, and costs no exactness."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.litellm import LitellmCheck
from tests.support.agent_model import AgentModel, recorded
from tests.support.endpoint import PROMETHEUS, answering, serving, serving_page
from tests.support.stock_check import StockCheck

PAGE = """\
# HELP litellm_requests_metric_total Requests.
# TYPE litellm_requests_metric_total counter
litellm_requests_metric_total{model="a",user="ann"} 3
litellm_requests_metric_total{model="a",user="ben"} 4
# TYPE litellm_spend_metric_total counter
litellm_spend_metric_total{model="a"} 1.5
# TYPE litellm_deployment_state gauge
litellm_deployment_state{model="a"} NaN
litellm_deployment_state{model="b"} 1
# TYPE litellm_request_total_latency_metric histogram
litellm_request_total_latency_metric_bucket{user="ann",le="1.0"} 1
litellm_request_total_latency_metric_bucket{user="ann",le="+Inf"} 2
litellm_request_total_latency_metric_count{user="ann"} 2
litellm_request_total_latency_metric_sum{user="ann"} 3.5
# TYPE litellm_request_total_latency_metric_created gauge
litellm_request_total_latency_metric_created{user="ann"} 1.7e9
# TYPE python_unmapped gauge
python_unmapped 1
python_unmapped{a="b"} 2
"""


def told(check_class: type[OpenMetricsBaseCheckV2], page: str, **options: Any) -> dict[str, float]:
    """Return what two runs tell, by metric, without the namespaces."""
    with serving_page(page) as url:
        instance = {'openmetrics_endpoint': url, 'collect_readiness': False, 'telemetry': True, **options}
        check, agent = check_class('litellm', {}, [instance]), AgentModel()
        for _ in range(2):
            flush = agent.run(check)
            assert not flush.error
    endpoint = {f'endpoint:{url}'}
    found = {**flush.counts, **flush.gauges}
    prefix = 'litellm.telemetry.'
    assert all(context.tags == endpoint for context in found if context.name.startswith(prefix))
    return {
        context.name.removeprefix(prefix): value for context, value in found.items() if context.name.startswith(prefix)
    }


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'exclude_metrics': ['litellm_spend_metric', '^python_']},
        {'exclude_metrics': ['_created$']},
        {'exclude_metrics_by_labels': {'user': ['ann']}},
        {'exclude_metrics_by_labels': {'user': ['ann']}, 'collect_histogram_buckets': False},
        {'exclude_labels': ['user']},
        {'raw_line_filters': ['user="ben"', '^python']},
        {'collect_histogram_buckets': False},
        {'histogram_buckets_as_distributions': True},
        {'extra_metrics': ['python_unmapped']},
        {'extra_metrics': [{'python_unmapped': {'type': 'rate'}}], 'exclude_metrics_by_labels': {'a': True}},
        {'share_labels': {'python_unmapped': True}, 'exclude_metrics_by_labels': {'a': True}},
        {'metric_patterns': {'exclude': ['spend']}},
    ],
    ids=str,
)
def test_samples_are_counted_as_by_the_base_package(options: dict[str, Any]) -> None:
    ours, stock = (told(check_class, PAGE, **options) for check_class in (LitellmCheck, StockCheck))

    assert ours == stock
    assert ours['metrics.input.count'] + ours.get('metrics.blacklist.count', 0) == 12


def test_a_page_that_cannot_be_read_tells_nothing() -> None:
    with serving(answering(200, PAGE.rstrip('\n'), {'Content-Type': PROMETHEUS})) as url:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, 'telemetry': True}])
        with recorded() as run:
            assert check.run()

    assert not [sample for sample in run.samples if '.telemetry.' in sample.name]


@pytest.mark.parametrize('scraper', [{}, {'use_stock_scraper': True}], ids=str)
@pytest.mark.parametrize('length', [None, '9' * 5_000, '9' * 400], ids=['none', 'too long for Python', 'for the Agent'])
def test_without_a_length_in_the_response_the_size_is_that_of_the_page(
    length: str | None, scraper: dict[str, Any]
) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header('Content-Type', PROMETHEUS)
        if length is not None:
            # What ends the page then is the end of the chunks.
            request.send_header('Transfer-Encoding', 'chunked')
            request.send_header('Content-Length', length)
        request.end_headers()
        body = PAGE.encode()
        request.wfile.write(body if length is None else b'%x\r\n%s\r\n0\r\n\r\n' % (len(body), body))

    with serving(answer) as url:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, 'telemetry': True, **scraper}])
        agent = AgentModel()
        assert not agent.run(check).error

    assert agent.gauge('litellm.telemetry.payload.size', f'endpoint:{url}') == len(PAGE)
