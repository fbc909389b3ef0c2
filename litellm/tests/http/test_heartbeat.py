"""The heartbeat: sent in every run of this check, and by no other check of its name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from datadog_checks.base.checks.base import AgentCheck
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck, __version__
from tests.support.endpoint import answering, serving, serving_page
from tests.support.stock_check import StockCheck

RunCheck = Callable[[AgentCheck], object]

HEARTBEAT = 'litellm.check.info'
PAGE = '# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{model="gpt-5"} 3.0\n'

pytestmark = pytest.mark.usefixtures('heartbeat')


@pytest.mark.parametrize('options', [{}, {'use_stock_scraper': True}], ids=['exact', 'stock'])
def test_each_run_sends_it_with_the_version_and_the_tags_of_the_instance(
    options: dict[str, object], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with serving_page(PAGE) as url:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, 'tags': ['tier:gateway'], **options}])
        for _ in range(2):
            dd_run_check(check)

    tags = [f'check_version:{__version__}', f'endpoint:{url}', 'tier:gateway']
    aggregator.assert_metric(HEARTBEAT, value=1, tags=tags, count=2, metric_type=AggregatorStub.GAUGE)


def test_a_scrape_that_fails_sends_it_too(aggregator: AggregatorStub) -> None:
    with serving(answering(500)) as url:
        assert LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url}]).run()

    aggregator.assert_metric(HEARTBEAT, value=1, count=1)


def test_an_empty_page_does_not(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with serving_page('') as url:
        dd_run_check(LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url}]))

    aggregator.assert_metric(HEARTBEAT, count=0)


def test_no_limit_of_contexts_stops_it(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    page = PAGE + 'litellm_requests_metric_total{model="o4"} 3.0\n'
    with serving_page(page) as url:
        dd_run_check(LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, 'max_contexts': 1}]))

    aggregator.assert_metric(HEARTBEAT, value=1, count=1)


def test_another_check_of_the_name_does_not_send_it(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with serving_page(PAGE) as url:
        dd_run_check(StockCheck('litellm', {}, [{'openmetrics_endpoint': url}]))

    aggregator.assert_metric('litellm.requests.metric.count')
    aggregator.assert_metric(HEARTBEAT, count=0)
