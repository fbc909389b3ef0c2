"""The drift tool: what it reads out of sources, what it says about a release, and what it writes down."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from tests.lineage import lineage as lineage_module
from tests.lineage.family import CLIENT_BUCKETS, DriftError, Family
from tests.lineage.lineage import FILES, Files, Lineage

from datadog_checks.litellm import metrics as names
from tools.drift import page, wheels
from tools.drift.__main__ import main
from tools.drift.dynamic import Run, read_dynamically
from tools.drift.report import compared
from tools.drift.static import Reading, read_statically
from tools.real_litellm.environment import RELEASE

Read = Callable[..., Reading]


def wheel(folder: Path, project: str, version: str, files: dict[str, str], requires: str = '') -> Path:
    """Make a wheel that pip takes, of these files."""
    name = project.replace('-', '_')
    metadata = f'Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{requires}'
    path = folder / f'{name}-{version}-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as archive:
        for file, text in files.items():
            archive.writestr(file, dedent(text))
        archive.writestr(f'{name}-{version}.dist-info/METADATA', metadata)
        archive.writestr(f'{name}-{version}.dist-info/WHEEL', 'Wheel-Version: 1.0\nTag: py3-none-any\n')
        archive.writestr(f'{name}-{version}.dist-info/RECORD', '')
    return path


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read the families out of sources: one module, and others by their paths."""

    def of(module: str = '', **others: str) -> Reading:
        files = {'litellm/metrics.py': module, **{f'litellm/{name}.py': text for name, text in others.items()}}
        with wheels.Sources([wheel(tmp_path, 'litellm', '1.0.0', files)]) as sources:
            return read_statically(sources)

    return of


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the repository's folder for wheels by an empty one, and the registry by the wheels put there."""
    folder = tmp_path / 'wheels'
    folder.mkdir()
    monkeypatch.setattr(wheels, '_CACHE', folder)
    monkeypatch.setenv('PIP_CONFIG_FILE', '/dev/null')
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(tmp_path / 'registry'))
    (tmp_path / 'registry').mkdir()
    return folder


# Reading sources


def test_a_constructor_tells_everything_about_its_family(read: Read) -> None:
    reading = read("""\
        from prometheus_client import Counter, Gauge, Histogram

        class Logger:
            def __init__(self, **kwargs):
                self.requests = Counter(name='litellm_requests_total', documentation='Requests.', labelnames=['team'])
                self.state = Gauge('litellm_state', 'State.', ('model',), multiprocess_mode='livemax')
                self.latency = Histogram('litellm_latency', 'Latency.', buckets=(0.5, 1, float('inf')))
    """)

    logger = 'litellm.metrics:Logger'
    assert list(reading.families.values()) == [
        Family(
            'litellm_latency', 'histogram', (), (0.5, 1.0), '', 'Latency.', 'litellm/metrics.py:7', logger, 'static'
        ),
        Family(
            'litellm_requests', 'counter', ('team',), None, '', 'Requests.', 'litellm/metrics.py:5', logger, 'static'
        ),
        Family(
            'litellm_state', 'gauge', ('model',), None, 'livemax', 'State.', 'litellm/metrics.py:6', logger, 'static'
        ),
    ]
    assert reading.unread == []


def test_a_histogram_without_buckets_has_those_of_the_client(read: Read) -> None:
    reading = read("""\
        from prometheus_client import Histogram
        latency = Histogram('litellm_latency', 'Latency.')
    """)

    assert reading.families['litellm_latency'].buckets == CLIENT_BUCKETS


def test_a_class_of_the_client_is_known_by_any_name(read: Read) -> None:
    reading = read("""\
        import prometheus_client
        from prometheus_client import Gauge as PrometheusGauge

        class Logger:
            def __init__(self):
                self.gauge, self.counter = PrometheusGauge, prometheus_client.Counter
                self.histogram: type = prometheus_client.Histogram
                PrometheusGauge('litellm_first', '')
                prometheus_client.Gauge('litellm_second', '')
                self.gauge('litellm_third', '')
                self.histogram('litellm_fourth', '')
    """)

    assert list(reading.families) == ['litellm_first', 'litellm_fourth', 'litellm_second', 'litellm_third']


@pytest.mark.parametrize(
    'imported',
    [
        'import prometheus_client as client',
        'import prometheus_client.metrics as client',
        'from prometheus_client import metrics as client',
    ],
)
def test_the_client_is_known_by_any_name(imported: str, read: Read) -> None:
    reading = read(f"{imported}\nclient.Counter('litellm_requests', '')\n")

    assert (list(reading.families), reading.unread) == (['litellm_requests'], [])


def test_a_counter_of_things_in_python_is_no_family(read: Read) -> None:
    reading = read("""\
        from collections import Counter
        from prometheus_client import Gauge

        def count(words):
            return Counter(words)
    """)

    assert reading == Reading({}, [])


def test_labels_are_put_together_from_constants_enums_and_classes_of_other_modules(read: Read) -> None:
    reading = read(
        """\
        from litellm.labels import *
        from prometheus_client import Counter

        class Logger:
            def __init__(self):
                team_labels = ['team']
                Counter('litellm_sums', '', labelnames=[MODEL] + team_labels + EXCEPTIONS)
                Counter('litellm_class', '', labelnames=Labels.tokens)
                Counter('litellm_enum', '', labelnames=MoreLabels.failures.value)
        """,
        labels="""\
        from enum import Enum

        MODEL = 'model'
        EXCEPTIONS = ['exception_class']

        class Names(Enum):
            MODEL = MODEL
            TAG = 'tag'

        class Labels:
            tokens = [Names.MODEL.value, Names.TAG.value]

        class MoreLabels(Enum):
            failures = [Names.TAG.value] + EXCEPTIONS
        """,
    )

    assert {name: family.labels for name, family in reading.families.items()} == {
        'litellm_class': ('model', 'tag'),
        'litellm_enum': ('tag', 'exception_class'),
        'litellm_sums': ('model', 'team', 'exception_class'),
    }


def test_a_factory_passes_on_what_it_is_given_and_labels_follow_the_default_settings(read: Read) -> None:
    reading = read(
        """\
        import litellm
        from litellm.labels import Labels
        from prometheus_client import Counter

        class Logger:
            def __init__(self):
                self.exclude = frozenset(litellm.excluded_metrics or ())
                self._counter_factory = self._create_factory(Counter)
                self.requests = self._counter_factory(
                    'litellm_requests', 'Requests.', labelnames=self.get_labels_for_metric('litellm_requests'),
                )

            def _create_factory(self, metric_class):
                def factory(*args, **kwargs):
                    name = args[0] if args else kwargs.get('name', '')
                    if name in self.exclude:
                        return None
                    return metric_class(*args, **kwargs)
                return factory

            def get_labels_for_metric(self, metric_name):
                return [label for label in Labels.get_labels(metric_name) if label not in self.exclude]
        """,
        labels="""\
        import litellm

        class Labels:
            litellm_requests = ['model']

            @staticmethod
            def get_labels(name):
                labels = list(getattr(Labels, name))
                if litellm.emit_stream_label is True:
                    labels.append('stream')
                labels.extend(f'tag_{tag}' for tag in litellm.custom_tags)
                return labels + ['org_id']
        """,
        __init__="""\
        from typing import List, Optional
        excluded_metrics: Optional[List[str]] = None
        emit_stream_label: bool = False
        custom_tags: List[str] = []
        """,
    )

    family = reading.families['litellm_requests']
    assert (family.labels, family.evidence) == (('model', 'org_id'), 'litellm/metrics.py:9')


def test_families_are_generated_for_every_service_and_the_kinds_it_has(read: Read) -> None:
    reading = read(
        """\
        from litellm.services import KINDS, Kind, Services

        class ServicesLogger:
            def __init__(self):
                from prometheus_client import Counter, Gauge
                self.Counter, self.Gauge = Counter, Gauge
                for service in Services:
                    kinds = self._kinds(service)
                    if Kind.COUNTER in kinds:
                        self.create_counter(service.value, 'failed_requests', additional=['error_class'])
                    if Kind.GAUGE in kinds:
                        self.create_gauge(service.value, type_of_request='size')

            def _kinds(self, service):
                if service not in KINDS:
                    return [Kind.COUNTER]
                return KINDS.get(service, [])

            def create_counter(self, service, type_of_request, additional=None):
                name = 'litellm_{}_{}'.format(service, type_of_request)
                return self.Counter(name, f'Total {type_of_request}', labelnames=[service] + (additional or []))

            def create_gauge(self, service, type_of_request):
                return self.Gauge(f'litellm_{service}_{type_of_request}', 'Size', labelnames=[service])
        """,
        services="""\
        import enum

        class Kind(enum.Enum):
            COUNTER = 'counter'
            GAUGE = 'gauge'

        class Services(str, enum.Enum):
            REDIS = 'redis'
            QUEUE = 'queue'

        KINDS = {Services.QUEUE.value: [Kind.GAUGE]}
        """,
    )

    assert {name: family.labels for name, family in reading.families.items()} == {
        'litellm_queue_size': ('queue',),
        'litellm_redis_failed_requests': ('redis', 'error_class'),
    }
    assert reading.unread == []


def test_a_gauge_has_the_mode_that_it_has_in_multiprocess_mode(read: Read) -> None:
    reading = read("""\
        import os

        class Middleware:
            @staticmethod
            def _get_gauge():
                from prometheus_client import Gauge
                if 'PROMETHEUS_MULTIPROC_DIR' in os.environ:
                    return Gauge('litellm_in_flight', 'In flight.', multiprocess_mode='livesum')
                return Gauge('litellm_in_flight', 'In flight.')
    """)

    assert reading.families['litellm_in_flight'].multiprocess_mode == 'livesum'


def test_a_function_that_is_given_the_class_makes_the_family_of_its_caller(read: Read) -> None:
    reading = read("""\
        from prometheus_client import Gauge

        def _create_gauge(gauge_type, name, description):
            return gauge_type(name, description, multiprocess_mode='livesum')

        def create_metrics():
            return Metrics(queued=_create_gauge(Gauge, 'litellm_queued', 'Queued.'))
    """)

    family = reading.families['litellm_queued']
    assert (family.evidence, family.registered_by) == ('litellm/metrics.py:7', 'litellm.metrics:create_metrics')


def test_a_function_of_another_module_that_names_the_family_is_found(read: Read) -> None:
    reading = read(
        """\
        from prometheus_client import Counter

        def counter(name):
            return Counter(name, 'Something.')

        HERE = counter('litellm_here')
        """,
        elsewhere="""\
        from litellm.metrics import counter

        def make():
            return counter('litellm_elsewhere')
        """,
    )

    assert list(reading.families) == ['litellm_elsewhere', 'litellm_here']


def test_what_follows_a_licence_check_is_found_as_well(read: Read) -> None:
    reading = read("""\
        from prometheus_client import Counter
        premium_user = False

        class Logger:
            def __init__(self):
                if premium_user is not True:
                    self.gate = Counter('litellm_not_premium', '')
                    return
                self.requests = Counter('litellm_requests', '')
    """)

    assert list(reading.families) == ['litellm_not_premium', 'litellm_requests']


def test_what_the_default_settings_do_not_register_is_found_as_well(read: Read) -> None:
    reading = read("""\
        from prometheus_client import Counter
        EXPERIMENTS = False

        def make():
            if EXPERIMENTS:
                Counter('litellm_experiments', '')
    """)

    assert list(reading.families) == ['litellm_experiments']


def test_the_enterprise_wheel_is_read_together_with_litellm(tmp_path: Path) -> None:
    logger = 'from litellm.labels import LABELS\nfrom prometheus_client import Counter\n'
    logger += "def make():\n    Counter('litellm_requests', '', LABELS)\n"
    parts = [
        wheel(tmp_path, 'litellm', '1.0.0', {'litellm/labels.py': "LABELS = ['team']"}),
        wheel(tmp_path, 'litellm-enterprise', '0.1.0', {'litellm_enterprise/prometheus.py': logger}),
    ]

    with wheels.Sources(parts) as sources:
        family = read_statically(sources).families['litellm_requests']

    assert (family.labels, family.evidence) == (('team',), 'litellm_enterprise/prometheus.py:4')


def test_a_family_whose_name_cannot_be_read_is_reported_with_its_place(read: Read) -> None:
    reading = read("""\
        from prometheus_client import Counter

        def make(name):
            return Counter(name, 'Something.')
    """)

    assert reading.unread == ['litellm/metrics.py:4: a family is made here, but its name could not be read']


@pytest.mark.parametrize(
    'line',
    [
        "SPECIFIED = [(Counter, 'litellm_first'), (Counter, 'litellm_second')]",
        "BY_KIND = {'counter': Counter}",
        'class Ours(Counter): ...',
        'def chosen(): return Counter',
        'chosen = lambda: Counter',
        "made = getattr(prometheus_client, kind)('litellm_first', '')",
        'modules = [prometheus_client]',
    ],
)
def test_a_class_that_goes_where_it_cannot_be_followed_is_reported_with_its_place(line: str, read: Read) -> None:
    reading = read(f'import prometheus_client\nfrom prometheus_client import Counter\n{line}\n')

    assert reading.unread == [
        'litellm/metrics.py:3: what makes families is handed on here, and what becomes of it could not be read'
    ]


@pytest.mark.parametrize(
    'line',
    [
        'def count(counter: Counter, more: list[Counter] | None = None) -> Counter: ...',
        'counter: Counter | None = None',
        'Metric = Union[Counter, Gauge]',
        'is_one = isinstance(metric, (Counter)) and type(metric) is Counter',
        'is_there = Counter is not None and prometheus_client is not None',
        'app = prometheus_client.make_asgi_app()',
    ],
)
def test_a_class_that_is_only_named_makes_no_family(line: str, read: Read) -> None:
    reading = read(f'import prometheus_client\nfrom prometheus_client import Counter, Gauge\n{line}\n')

    assert reading == Reading({}, [])


def test_one_caller_with_a_name_does_not_hide_another_one_without(read: Read) -> None:
    reading = read("""\
        from prometheus_client import Counter

        def counter(name):
            return Counter(name, 'Something.')

        def first():
            counter('litellm_first')

        def second(configured):
            counter(f'litellm_{configured}')
    """)

    assert list(reading.families) == ['litellm_first']
    assert reading.unread == ['litellm/metrics.py:10: a family is made here, but its name could not be read']


def test_labels_that_cannot_be_read_are_not_made_up(read: Read) -> None:
    reading = read("""\
        from prometheus_client import Counter

        def make(labels):
            return Counter('litellm_requests', '', ['team', *labels])
    """)

    assert reading.families['litellm_requests'].labels is None


def test_a_module_that_cannot_be_parsed_is_reported(read: Read) -> None:
    reading = read('from prometheus_client import Counter\ndef broken(:\n')

    assert reading.unread == ['litellm/metrics.py:1: not Python that this tool can parse']


# Comparing


def family(name: str, type_: str = 'counter', labels: tuple[str, ...] = ()) -> Family:
    return Family(name, type_, labels, None, '', '', 'litellm/metrics.py:1', '', 'static')


def reading_of(*families: Family) -> Reading:
    return Reading({one.name: one for one in families}, [])


def lineage_of(*rows: tuple[str, str, str, str], newest: str = '1.2.0') -> Lineage:
    """Return a lineage of families, given with their labels, first and last release."""
    columns = ('family', 'labels', 'first_release', 'last_release')
    return Lineage([dict(zip(columns, row, strict=True)) for row in rows], {newest: len(rows)})


def test_a_changed_type_is_told_with_both_types() -> None:
    report = compared('1.2.0', reading_of(family('litellm_deployment_state', 'counter')), 'unused', lineage_of())

    assert report.type_changed == [{'family': 'litellm_deployment_state', 'mapped_as': 'gauge', 'is': 'counter'}]
    assert report.exit_status == 0


def test_a_changed_label_set_is_told_label_by_label() -> None:
    known = lineage_of(('litellm_spend_metric', 'team|user', '1.0.0', ''))

    report = compared('1.3.0', reading_of(family('litellm_spend_metric', labels=('user', 'org_id'))), 'unused', known)

    assert report.labels_changed == [{'family': 'litellm_spend_metric', 'added': ['org_id'], 'removed': ['team']}]


def test_labels_in_another_order_are_the_same_set() -> None:
    known = lineage_of(('litellm_spend_metric', 'team|user', '1.0.0', ''))

    report = compared('1.3.0', reading_of(family('litellm_spend_metric', labels=('user', 'team'))), 'unused', known)

    assert report.labels_changed == []


def test_a_family_is_gone_when_the_lineage_has_it_for_that_release() -> None:
    known = lineage_of(
        ('litellm_current', '', '1.0.0', ''),
        ('litellm_ended', '', '1.0.0', '1.1.0'),
        ('litellm_to_come', '', '1.4.0', ''),
    )

    assert compared('1.3.0', reading_of(), 'unused', known).gone == ['litellm_current']


def test_two_readings_that_differ_are_told_field_by_field() -> None:
    ran = family('litellm_spend_metric', labels=('team',))

    report = compared('1.2.0', reading_of(family('litellm_spend_metric')), Run({ran.name: ran}, []), lineage_of())

    assert report.disagreements == ['litellm_spend_metric: labels none in the sources, team when it ran']
    assert report.families['litellm_spend_metric'].labels == ('team',)


# The command line

UNKNOWN_FAMILY = {
    'litellm/metrics.py': """\
        from prometheus_client import Counter
        Counter('litellm_spend_metric', 'Spend.')
        Counter('litellm_planted_total', 'Planted.')
    """
}


def test_an_unknown_family_makes_it_fail_and_is_named_with_its_place(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(cache, 'litellm', '9.9.9', UNKNOWN_FAMILY)

    status = main(['9.9.9', '--static'])

    assert status == 1
    assert 'unmapped: 1\n  litellm_planted (counter, litellm/metrics.py:3)\n' in capsys.readouterr().out


def test_known_families_alone_make_it_succeed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel(
        cache,
        'litellm',
        '9.9.9',
        {'litellm/m.py': UNKNOWN_FAMILY['litellm/metrics.py'].replace('planted', 'self_failed_requests')},
    )

    assert main(['9.9.9', '--static']) == 0
    assert 'unmapped: none' in capsys.readouterr().out


def test_json_holds_every_family_and_the_verdict(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel(cache, 'litellm', '9.9.9', UNKNOWN_FAMILY)

    main(['9.9.9', '--static', '--json'])
    report = json.loads(capsys.readouterr().out)

    assert report['unmapped'] == ['litellm_planted']
    assert report['exit_status'] == 1
    assert report['families'][0] == {
        'name': 'litellm_planted',
        'type': 'counter',
        'labels': [],
        'buckets': None,
        'multiprocess_mode': '',
        'help': 'Planted.',
        'evidence': 'litellm/metrics.py:3',
        'registered_by': '',
        'read_by': 'static',
    }
    assert {'type_changed', 'labels_changed', 'gone', 'not_in_lineage', 'unread', 'disagreements'} <= report.keys()


def test_without_a_release_it_takes_the_newest_of_the_registry(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ('9.9.0', '9.10.0', '9.11.0rc1'):
        wheel(tmp_path / 'registry', 'litellm', version, UNKNOWN_FAMILY)

    main(['--static'])

    assert '\nLiteLLM 9.10.0: 2 families' in capsys.readouterr().out


def test_a_withdrawn_enterprise_pin_is_replaced_by_its_nearest_version_and_told(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = 'Requires-Dist: litellm-enterprise==0.1.79.post2 ; extra == "proxy"\n'
    wheel(tmp_path / 'registry', 'litellm', '9.9.9', {'litellm/__init__.py': ''}, requires=pin)
    for version in ('0.1.79', '0.1.79.post1', '0.1.80'):
        wheel(tmp_path / 'registry', 'litellm-enterprise', version, UNKNOWN_FAMILY)

    assert main(['9.9.9', '--static']) == 1
    assert 'litellm-enterprise 0.1.79.post2 is not in the package registry' in capsys.readouterr().out
    assert (cache / 'litellm_enterprise-0.1.79.post1-py3-none-any.whl').exists()


def test_what_was_read_once_is_read_without_a_registry(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = 'Requires-Dist: litellm-enterprise==0.1.79.post2\n'
    wheel(cache, 'litellm', '9.9.9', {'litellm/__init__.py': ''}, requires=pin)
    wheel(cache, 'litellm-enterprise', '0.1.79', UNKNOWN_FAMILY)
    monkeypatch.delenv('PIP_FIND_LINKS')

    assert main(['9.9.9', '--static']) == 1
    assert 'read instead: litellm_enterprise-0.1.79-py3-none-any.whl' in capsys.readouterr().out


def test_an_unknown_release_is_one_line_and_a_usage_error(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path / 'registry', 'litellm', '9.9.9', {})

    assert main(['9.9.8']) == 2
    assert capsys.readouterr().err == 'drift: litellm 9.9.8 is not in the package registry\n'


def test_something_that_is_no_release_is_one_line_and_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['newest']) == 2
    assert capsys.readouterr().err == "drift: 'newest' is not a release of LiteLLM such as 1.106.2\n"


def test_a_registry_out_of_reach_is_one_line_and_a_usage_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv('PIP_NO_INDEX')
    # Nothing listens on the port of `discard`.
    monkeypatch.setenv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple')

    assert main([]) == 2
    assert capsys.readouterr().err == (
        'drift: litellm: the package registry gives no version at all; is it in reach?\n'
    )


# The lineage


def history() -> dict[str, dict[str, Family]]:
    """Four releases: one family stays and changes its labels, one ends, one begins."""
    return {
        '1.53.1': reading_of(family('litellm_stays'), family('litellm_ends')).families,
        '1.53.10': reading_of(family('litellm_stays'), family('litellm_ends')).families,
        '1.54.0': reading_of(family('litellm_stays')).families,
        '1.60.0': reading_of(family('litellm_stays', labels=('team',)), family('litellm_begins', 'gauge')).families,
    }


@pytest.mark.parametrize('order', itertools.permutations(history()))
def test_the_lineage_is_the_same_in_whatever_order_releases_are_added(order: tuple[str, ...]) -> None:
    lineage = Lineage((), {})
    for release in order:
        assert lineage.extend(release, history()[release]) == []

    assert {
        name: (row['type'], row['labels'], row['first_release'], row['last_release'])
        for name, row in lineage.rows.items()
    } == {
        'litellm_begins': ('gauge', '', '1.60.0', ''),
        'litellm_ends': ('counter', '', '1.53.1', '1.53.10'),
        'litellm_stays': ('counter', 'team', '1.53.1', ''),
    }


def test_adding_a_release_again_changes_nothing() -> None:
    lineage = Lineage((), {})
    for release in (*history(), '1.54.0'):
        lineage.extend(release, history()[release])

    assert lineage.rows['litellm_stays']['labels'] == 'team'
    assert lineage.releases == {release: len(families) for release, families in history().items()}


def test_a_release_without_a_family_of_the_releases_around_it_is_told() -> None:
    lineage = Lineage((), {})
    for release in ('1.53.1', '1.60.0'):
        lineage.extend(release, history()[release])

    assert lineage.extend('1.55.0', {}) == [
        'litellm_stays: not in 1.55.0, but in releases before and after it, or so it was known'
    ]


def test_a_new_family_says_what_registers_it_and_keeps_the_words_of_its_help() -> None:
    new = family('litellm_new')._replace(help='New.', registered_by='litellm.tracing.exporter:make')
    lineage = Lineage((), {})
    lineage.extend('1.53.1', reading_of(new).families)

    row = lineage.rows['litellm_new']
    assert (row['value'], row['registered_when']) == ('New.', 'first use of litellm.tracing.exporter:make')


def test_what_was_written_by_hand_survives_a_new_release() -> None:
    lineage = Lineage((), {})
    lineage.extend('1.53.1', history()['1.53.1'])
    lineage.rows['litellm_stays'].update(value='usd', registered_when='first payment')
    lineage.extend('1.60.0', history()['1.60.0'])

    row = lineage.rows['litellm_stays']
    assert (row['labels'], row['value'], row['registered_when']) == ('team', 'usd', 'first payment')


@pytest.mark.parametrize('release', ['1.72.6.post2', '1.84.0rc1'])
def test_only_releases_proper_enter_the_lineage(release: str) -> None:
    with pytest.raises(DriftError, match='releases proper'):
        Lineage((), {}).extend(release, {})


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Keep the lineage, and the page that shows it, in a folder of the test's own."""
    files = Files(*(tmp_path / path.name for path in FILES))
    monkeypatch.setattr(lineage_module, 'FILES', files)
    monkeypatch.setattr(page, 'FAMILIES_MD', tmp_path / 'FAMILIES.md')
    page.FAMILIES_MD.write_text('Before.\n<!-- table -->\nold\n<!-- end of table -->\nAfter.\n')
    return files


def test_one_command_extends_data_and_page_by_a_release(
    cache: Path, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Lineage((), {})
    before.extend(
        '9.9.8', reading_of(family('litellm_ends'), family('litellm_spend_metric', labels=('team',))).families
    )
    before.write()
    wheel(cache, 'litellm', '9.9.9', UNKNOWN_FAMILY)

    assert main(['--extend', '9.9.9']) == 0
    assert 'new in the lineage: litellm_planted\n' in capsys.readouterr().out
    assert files.releases.read_text() == 'release,families\n9.9.8,2\n9.9.9,2\n'
    assert [line.split(',')[:5] for line in files.families.read_text().splitlines()[1:]] == [
        ['litellm_ends', 'counter', '', '9.9.8', '9.9.8'],
        ['litellm_planted', 'counter', '', '9.9.9', ''],
        ['litellm_spend_metric', 'counter', '', '9.9.8', ''],
    ]
    assert files.former_labels.read_text() == 'family,through_release,labels\nlitellm_spend_metric,9.9.8,team\n'
    before_table, *rows, after_table = page.FAMILIES_MD.read_text().splitlines()
    assert (before_table, after_table) == ('Before.', 'After.')
    assert '| 9.9.9 | 2 | `litellm_planted` | `litellm_ends` |' in rows


def test_the_files_are_as_the_tool_writes_them(tmp_path: Path) -> None:
    written = Files(*(tmp_path / path.name for path in FILES))
    Lineage.read().write(written)

    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in FILES]


def test_the_page_shows_the_lineage() -> None:
    assert f'<!-- table -->\n{page.table(Lineage.read())}\n<!-- end' in page.FAMILIES_MD.read_text(encoding='utf-8')


def test_the_page_tells_renamed_families_from_new_and_gone_ones() -> None:
    old, new = 'litellm_total_tokens', 'litellm_total_tokens_metric'
    lineage = Lineage((), {})
    lineage.extend('1.74.15', reading_of(family(old), family('litellm_ends')).families)
    lineage.extend('1.75.0', reading_of(family(new), family('litellm_begins')).families)

    _, _, row, _ = page.table(lineage).splitlines()
    assert row == f'| 1.75.0 | 2 | `litellm_begins`; `{old}` → `{new}` | `litellm_ends` |'


@pytest.mark.parametrize('order', itertools.permutations(('1.53.1', '1.54.0', '1.55.0', '1.56.0', '1.57.0')))
def test_former_labels_are_known_in_whatever_order_releases_are_added(order: tuple[str, ...]) -> None:
    labels = {
        '1.53.1': ('team',),
        '1.54.0': ('team',),
        '1.55.0': ('team', 'user'),
        '1.56.0': ('user', 'team'),
        '1.57.0': (),
    }
    lineage = Lineage((), {})
    for release in order:
        lineage.extend(release, reading_of(family('litellm_stays', labels=labels[release])).families)

    found = {release: set(lineage.labels_of('litellm_stays', release).split('|')) - {''} for release in labels}
    assert found == {release: set(names) for release, names in labels.items()}
    assert [through for through, _ in lineage.former_labels['litellm_stays']] == ['1.54.0', '1.56.0']


def test_every_release_that_was_read_has_as_many_families_as_the_lineage_gives_it() -> None:
    lineage = Lineage.read()

    assert {release: len(lineage.families_of(release)) for release in lineage.releases} == lineage.releases


def test_no_family_of_the_lineage_is_unmapped() -> None:
    assert Lineage.read().rows.keys() - names.raw_names().keys() == set()


# A real release


def test_sources_and_registry_of_the_newest_release_agree_and_nothing_is_unmapped() -> None:
    """Needs the package registry when wheel and environment are not there yet, and then fails saying so."""
    with wheels.sources_of(RELEASE) as sources:
        reading = read_statically(sources)

    report = compared(RELEASE, reading, read_dynamically(RELEASE, reading.families), Lineage.read())

    assert (report.disagreements, report.notes, report.unread) == ([], [], [])
    assert {family.read_by for family in report.families.values()} == {'static, dynamic'}
    assert (report.unmapped, report.type_changed, report.labels_changed, report.gone) == ([], [], [], [])
