"""Find what the pages say of LiteLLM's own callbacks and settings in the source of the real release."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.support.documents import page

from datadog_checks.litellm.mapping.routes import WORDS
from datadog_checks.litellm.metrics import submitted_names
from tools.doc_blocks import proxy_settings
from tools.minimal_page import settings
from tools.real_litellm.environment import HarnessError, environment

CALLBACKS = page('docs/callbacks.md')
OF_METRICS = 'integrations/datadog/datadog_metrics.py'


@pytest.fixture(scope='module')
def litellm() -> Path:
    """Return the folder of the package."""
    try:
        (package,) = environment().path.glob('lib/python3*/site-packages/litellm')
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)
    return package


def test_the_metrics_of_the_callback_are_listed(litellm: Path) -> None:
    metrics = re.findall(r'"metric": "([^"]+)"', (litellm / OF_METRICS).read_text())

    assert sorted(row.code[0][0] for row in CALLBACKS.rows('Metrics of the callback')) == sorted(metrics)


def test_no_metric_of_the_callback_has_a_name_of_ours() -> None:
    theirs = {row.code[0][0] for row in CALLBACKS.rows('Metrics of the callback')}
    ours = {name for name, _ in submitted_names()}
    # Of buckets as distributions, the Agent makes a metric with the name of the histogram.
    histograms = {name.removesuffix('.bucket') for name in ours}

    assert theirs & (ours | histograms) == set()


def test_the_tags_of_the_callback_are_listed(litellm: Path) -> None:
    tags = set(re.findall(r'f"(\w+):\{', (litellm / OF_METRICS).read_text()))
    (item,) = re.findall(r"callback's tags are (.+?)\.", CALLBACKS.text, re.DOTALL)

    assert set(re.findall(r'`(\w+)`', item)) == tags


def test_every_callback_of_litellm_for_datadog_is_listed(litellm: Path) -> None:
    sources = ['__init__.py', 'proxy/common_utils/callback_utils.py']
    found = {name for source in sources for name in re.findall(r'"(datadog\w*)"', (litellm / source).read_text())}
    listed = {row.code[0][0] for row in CALLBACKS.rows('The callbacks')}

    assert listed >= found
    assert listed - found == {'prometheus'}


def test_every_word_of_litellms_routes_is_one_that_the_check_keeps(litellm: Path) -> None:
    decorated = re.compile(r'@\w*(?:router|app)\w*\.\w+\(\s*"(/[^"]*)"')
    routes = {route for source in (litellm / 'proxy').rglob('*.py') for route in decorated.findall(source.read_text())}
    words = {word for route in routes for word in route.split('/') if word and not re.search(r'[{}*]', word)}

    assert len(words) > 300
    assert words - WORDS == set()


def test_litellm_takes_the_settings_of_the_smallest_page(tmp_path: Path) -> None:
    selected = settings()['litellm_settings']['prometheus_metrics_config']
    program = (
        f'import litellm; litellm.prometheus_metrics_config = {selected!r}\n'
        'from litellm.integrations.prometheus import PrometheusLogger; PrometheusLogger()\n'
        'from prometheus_client import REGISTRY\n'
        "print('families', *sorted(family.name for family in REGISTRY.collect()))"
    )
    run = subprocess.run(
        [environment().path / 'bin' / 'python', '-c', program],
        cwd=tmp_path,
        env={'LITELLM_LOCAL_MODEL_COST_MAP': 'True'},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert run.returncode == 0, run.stderr
    families = set(run.stdout.rpartition('families ')[2].split())
    assert {name for group in selected for name in group['metrics']} <= families


def test_every_setting_of_the_proxy_in_the_pages_exists(litellm: Path) -> None:
    settings = proxy_settings()
    missing = set(settings)
    for source in litellm.rglob('*.py'):
        text = source.read_text(encoding='utf-8', errors='replace')
        missing -= {name for name in missing if re.search(rf'\b{re.escape(name)}\b', text)}
        if not missing:
            break

    assert settings
    assert missing == set()
