"""The drift tool: what it reads out of sources, what it says about a release, and what it writes down."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import pytest
from tests.lineage import lineage as lineage_module
from tests.lineage.family import DriftError, Family
from tests.lineage.lineage import FILES, Files, Lineage

from datadog_checks.litellm import metrics as names
from tools.drift import __main__ as drift_command
from tools.drift import page, wheels
from tools.drift.__main__ import main
from tools.drift.dynamic import Run, run
from tools.drift.report import compared
from tools.drift.scan import Place, Scan
from tools.drift.scan import scan as scan_sources
from tools.real_litellm.environment import RELEASE

Scanned = Callable[..., Scan]


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
def scanned(tmp_path: Path) -> Scanned:
    """Scan sources: one module, and others by their names."""

    def of(module: str = '', **others: str) -> Scan:
        files = {'litellm/metrics.py': module, **{f'litellm/{name}.py': text for name, text in others.items()}}
        with wheels.Sources([wheel(tmp_path, 'litellm', '1.0.0', files)]) as sources:
            return scan_sources(sources)

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


# Scanning sources


def test_a_site_that_spells_a_name_tells_family_and_place(scanned: Scanned) -> None:
    scan = scanned("""\
        from prometheus_client import Counter, Gauge

        class Logger:
            def __init__(self, **kwargs):
                self.requests = Counter(name='litellm_requests_total', documentation='Requests.', labelnames=['team'])
                self.state = Gauge('litellm_state', 'State.', ('model',), multiprocess_mode='livemax')
    """)

    assert [(family.name, family.type, family.evidence, family.labels) for family in scan.families.values()] == [
        ('litellm_requests', 'counter', 'litellm/metrics.py:5', None),
        ('litellm_state', 'gauge', 'litellm/metrics.py:6', None),
    ]
    assert (scan.entries, scan.nameless, scan.unread) == (['litellm.metrics:Logger'], [], [])


def test_a_class_of_the_client_is_known_by_any_name(scanned: Scanned) -> None:
    scan = scanned("""\
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

    assert sorted(scan.families) == ['litellm_first', 'litellm_fourth', 'litellm_second', 'litellm_third']


@pytest.mark.parametrize(
    'imported',
    [
        'import prometheus_client as client',
        'import prometheus_client.metrics as client',
        'from prometheus_client import metrics as client',
        "import importlib\nclient = importlib.import_module('prometheus_client')",
    ],
)
def test_the_client_is_known_by_any_name(imported: str, scanned: Scanned) -> None:
    scan = scanned(f"{imported}\nclient.Counter('litellm_requests', '')\n")

    assert (list(scan.families), scan.unread) == (['litellm_requests'], [])


def test_a_counter_of_things_in_python_is_no_family(scanned: Scanned) -> None:
    scan = scanned("""\
        from collections import Counter
        from prometheus_client import Gauge

        words = Counter('some text')
    """)

    assert (scan.families, scan.nameless) == ({}, [])


def test_a_factory_makes_families_of_its_class(scanned: Scanned) -> None:
    scan = scanned("""\
        from prometheus_client import Counter, Gauge

        class Logger:
            def __init__(self):
                self.counter_factory = self.create_factory(Counter)
                self.requests = self.counter_factory('litellm_requests', documentation='Requests.')
                self.state = create(Gauge, 'litellm_state', 'State.')
    """)

    assert {family.name: family.type for family in scan.families.values()} == {
        'litellm_requests': 'counter',
        'litellm_state': 'gauge',
    }
    assert scan.nameless == []


def test_the_enterprise_wheel_is_scanned_together_with_litellm(tmp_path: Path) -> None:
    logger = "from prometheus_client import Counter\ndef make():\n    Counter('litellm_requests', '')\n"
    parts = [
        wheel(tmp_path, 'litellm', '1.0.0', {'litellm/labels.py': "LABELS = ['team']"}),
        wheel(tmp_path, 'litellm-enterprise', '0.1.0', {'litellm_enterprise/prometheus.py': logger}),
    ]

    with wheels.Sources(parts) as sources:
        scan = scan_sources(sources)

    assert scan.families['litellm_requests'].evidence == 'litellm_enterprise/prometheus.py:3'
    assert scan.entries == ['litellm_enterprise.prometheus:make']


@pytest.mark.parametrize(
    'site',
    [
        "Counter(f'litellm_{kind}', 'Something.')",
        "Counter(kind, 'Something.')",
        "Counter('requests', 'Something.', namespace='litellm')",
        "Counter(**{'name': kind})",
    ],
)
def test_a_name_that_is_put_together_has_a_place_only(site: str, scanned: Scanned) -> None:
    scan = scanned(f"from prometheus_client import Counter\nkind = 'requests'\nrequests = {site}\n")

    assert (scan.families, list(map(str, scan.nameless))) == ({}, ['litellm/metrics.py:3'])


def test_every_call_of_a_function_that_is_given_the_name_has_a_place(scanned: Scanned) -> None:
    scan = scanned(
        """\
        from prometheus_client import Counter

        class Counters:
            def __init__(self):
                self.counter('first')

            def counter(self, name):
                return Counter(f'litellm_{name}', 'Something.')
        """,
        elsewhere="""\
        from litellm.metrics import Counters

        def make():
            return Counters().counter('second')
        """,
    )

    assert sorted(map(str, scan.nameless)) == ['litellm/elsewhere.py:4', 'litellm/metrics.py:5', 'litellm/metrics.py:8']
    assert sorted(scan.entries) == ['litellm.elsewhere:make', 'litellm.metrics:Counters']


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
def test_a_class_that_goes_where_it_cannot_be_followed_is_reported_with_its_place(line: str, scanned: Scanned) -> None:
    scan = scanned(f'import prometheus_client\nfrom prometheus_client import Counter\n{line}\n')

    assert set(scan.unread) == {'litellm/metrics.py:3: what makes families is handed on here, and not followed'}


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
def test_a_class_that_is_only_named_makes_no_family(line: str, scanned: Scanned) -> None:
    scan = scanned(f'import prometheus_client\nfrom prometheus_client import Counter, Gauge\n{line}\n')

    assert scan == Scan({}, [], [], [])


def test_a_module_that_cannot_be_parsed_is_reported(scanned: Scanned) -> None:
    scan = scanned('from prometheus_client import Counter\ndef broken(:\n')

    assert scan.unread == ['litellm/metrics.py:1: not Python that this tool can parse']


# Comparing


def family(name: str, type_: str = 'counter', labels: tuple[str, ...] = ()) -> Family:
    return Family(name, type_, labels, None, '', '', 'litellm/metrics.py:1', '', 'run')


def families_of(*families: Family) -> dict[str, Family]:
    return {one.name: one for one in families}


def scan_of(*families: Family, nameless: Sequence[Place] = (), unread: Sequence[str] = ()) -> Scan:
    return Scan(families_of(*families), nameless, [], list(unread))


def lineage_of(*rows: tuple[str, str, str, str], newest: str = '1.2.0') -> Lineage:
    """Return a lineage of families, given with their labels, first and last release."""
    columns = ('family', 'labels', 'first_release', 'last_release')
    return Lineage([dict(zip(columns, row, strict=True)) for row in rows], {newest: len(rows)})


def test_a_changed_type_is_told_with_both_types() -> None:
    report = compared('1.2.0', scan_of(family('litellm_deployment_state', 'counter')), 'unused', lineage_of())

    assert report.type_changed == [{'family': 'litellm_deployment_state', 'mapped_as': 'gauge', 'is': 'counter'}]
    assert report.exit_status == 0


def test_a_changed_label_set_is_told_label_by_label() -> None:
    known = lineage_of(('litellm_spend_metric', 'team|user', '1.0.0', ''))

    report = compared('1.3.0', scan_of(family('litellm_spend_metric', labels=('user', 'org_id'))), 'unused', known)

    assert report.labels_changed == [{'family': 'litellm_spend_metric', 'added': ['org_id'], 'removed': ['team']}]


def test_labels_in_another_order_are_the_same_set() -> None:
    known = lineage_of(('litellm_spend_metric', 'team|user', '1.0.0', ''))

    report = compared('1.3.0', scan_of(family('litellm_spend_metric', labels=('user', 'team'))), 'unused', known)

    assert report.labels_changed == []


def test_a_family_is_gone_when_the_lineage_has_it_for_that_release() -> None:
    known = lineage_of(
        ('litellm_current', '', '1.0.0', ''),
        ('litellm_ended', '', '1.0.0', '1.1.0'),
        ('litellm_to_come', '', '1.4.0', ''),
    )

    assert compared('1.3.0', scan_of(), 'unused', known).gone == ['litellm_current']


def test_nothing_is_said_to_be_gone_while_something_could_not_be_read() -> None:
    known = lineage_of(('litellm_current', '', '1.0.0', ''))

    assert compared('1.3.0', scan_of(unread=['litellm/metrics.py:1: why']), 'unused', known).gone == []


def test_what_ran_is_known_better_than_what_was_scanned() -> None:
    spelled = family('litellm_spend_metric')._replace(labels=None)
    ran = family('litellm_spend_metric', labels=('team',))

    report = compared('1.2.0', scan_of(spelled), Run({ran.name: ran}, frozenset(), []), lineage_of())

    assert report.families['litellm_spend_metric'].labels == ('team',)
    assert report.how == '1 of them registered when it ran'


def test_a_name_that_is_put_together_is_read_if_its_place_was_run_and_makes_it_fail_otherwise() -> None:
    places = [Place('litellm/metrics.py', line, line) for line in (7, 9)]

    report = compared('1.2.0', scan_of(nameless=places), Run({}, frozenset(places[:1]), []), lineage_of())

    assert report.unread == ['litellm/metrics.py:9: a family is made here, but its name could not be read']
    assert report.exit_status == 1


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

    status = main(['9.9.9', '--scan'])

    assert status == 1
    assert 'unmapped: 1\n  litellm_planted (counter, litellm/metrics.py:3)\n' in capsys.readouterr().out


def test_known_families_alone_make_it_succeed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel(
        cache,
        'litellm',
        '9.9.9',
        {'litellm/m.py': UNKNOWN_FAMILY['litellm/metrics.py'].replace('planted', 'self_failed_requests')},
    )

    assert main(['9.9.9', '--scan']) == 0
    assert 'unmapped: none' in capsys.readouterr().out


def test_json_holds_every_family_and_the_verdict(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel(cache, 'litellm', '9.9.9', UNKNOWN_FAMILY)

    main(['9.9.9', '--scan', '--json'])
    report = json.loads(capsys.readouterr().out)

    assert report['unmapped'] == ['litellm_planted']
    assert report['exit_status'] == 1
    assert report['families'][0] == {
        'name': 'litellm_planted',
        'type': 'counter',
        'labels': None,
        'buckets': None,
        'multiprocess_mode': '',
        'help': '',
        'evidence': 'litellm/metrics.py:3',
        'registered_by': '',
        'read_by': 'scan',
    }
    assert {'type_changed', 'labels_changed', 'gone', 'not_in_lineage', 'unread'} <= report.keys()


def test_without_a_release_it_takes_the_newest_of_the_registry(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ('9.9.0', '9.10.0', '9.11.0rc1'):
        wheel(tmp_path / 'registry', 'litellm', version, UNKNOWN_FAMILY)

    main(['--scan'])

    assert '\nLiteLLM 9.10.0: 2 families' in capsys.readouterr().out


def test_a_withdrawn_enterprise_pin_is_replaced_by_its_nearest_version_and_told(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = 'Requires-Dist: litellm-enterprise==0.1.79.post2 ; extra == "proxy"\n'
    wheel(tmp_path / 'registry', 'litellm', '9.9.9', {'litellm/__init__.py': ''}, requires=pin)
    for version in ('0.1.79', '0.1.79.post1', '0.1.80'):
        wheel(tmp_path / 'registry', 'litellm-enterprise', version, UNKNOWN_FAMILY)

    assert main(['9.9.9', '--scan']) == 1
    assert 'litellm-enterprise 0.1.79.post2 is not in the package registry' in capsys.readouterr().out
    assert (cache / 'litellm_enterprise-0.1.79.post1-py3-none-any.whl').exists()


def test_what_was_read_once_is_read_without_a_registry(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = 'Requires-Dist: litellm-enterprise==0.1.79.post2\n'
    wheel(cache, 'litellm', '9.9.9', {'litellm/__init__.py': ''}, requires=pin)
    wheel(cache, 'litellm-enterprise', '0.1.79', UNKNOWN_FAMILY)
    monkeypatch.delenv('PIP_FIND_LINKS')

    assert main(['9.9.9', '--scan']) == 1
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
        '1.53.1': families_of(family('litellm_stays'), family('litellm_ends')),
        '1.53.10': families_of(family('litellm_stays'), family('litellm_ends')),
        '1.54.0': families_of(family('litellm_stays')),
        '1.60.0': families_of(family('litellm_stays', labels=('team',)), family('litellm_begins', 'gauge')),
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
    lineage.extend('1.53.1', families_of(new))

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


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Family]:
    """Let a release that is run register these families."""
    families: list[Family] = []
    monkeypatch.setattr(drift_command, 'run', lambda release, entries: Run(families_of(*families), frozenset(), []))
    return families


def test_one_command_extends_data_and_page_by_a_release(
    cache: Path, files: Files, ran: list[Family], capsys: pytest.CaptureFixture[str]
) -> None:
    ran += [family('litellm_spend_metric'), family('litellm_planted')]
    before = Lineage((), {})
    before.extend('9.9.8', families_of(family('litellm_ends'), family('litellm_spend_metric', labels=('team',))))
    before.write()
    wheel(cache, 'litellm', '9.9.9', UNKNOWN_FAMILY)

    assert main(['--write', '9.9.9']) == 0
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


def test_a_release_of_the_lineage_is_not_read_again(
    cache: Path, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    lineage = Lineage((), {})
    lineage.extend('9.9.8', families_of(family('litellm_spend_metric')))
    lineage.write()
    before = [path.read_text() for path in files]

    assert main(['--write', '9.9.8']) == 0
    assert capsys.readouterr().out == 'LiteLLM 9.9.8 is in the lineage: 1 families\n'
    assert [path.read_text() for path in files] == before


def test_a_release_of_which_not_all_could_be_run_does_not_enter_the_lineage(
    cache: Path, files: Files, ran: list[Family], capsys: pytest.CaptureFixture[str]
) -> None:
    lineage = Lineage((), {})
    lineage.extend('9.9.8', {})
    lineage.write()
    wheel(cache, 'litellm', '9.9.9', UNKNOWN_FAMILY)

    assert main(['--write', '9.9.9']) == 2
    assert capsys.readouterr().err == 'drift: The labels of litellm_planted, litellm_spend_metric could not be read\n'
    assert files.releases.read_text() == 'release,families\n9.9.8,0\n'


def test_the_files_are_as_the_tool_writes_them(tmp_path: Path) -> None:
    written = Files(*(tmp_path / path.name for path in FILES))
    Lineage.read().write(written)

    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in FILES]


def test_the_page_shows_the_lineage() -> None:
    assert f'<!-- table -->\n{page.table(Lineage.read())}\n<!-- end' in page.FAMILIES_MD.read_text(encoding='utf-8')


def test_the_page_tells_renamed_families_from_new_and_gone_ones() -> None:
    old, new = 'litellm_total_tokens', 'litellm_total_tokens_metric'
    lineage = Lineage((), {})
    lineage.extend('1.74.15', families_of(family(old), family('litellm_ends')))
    lineage.extend('1.75.0', families_of(family(new), family('litellm_begins')))

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
        lineage.extend(release, families_of(family('litellm_stays', labels=labels[release])))

    found = {release: set(lineage.labels_of('litellm_stays', release).split('|')) - {''} for release in labels}
    assert found == {release: set(names) for release, names in labels.items()}
    assert [through for through, _ in lineage.former_labels['litellm_stays']] == ['1.54.0', '1.56.0']


def test_every_release_that_was_read_has_as_many_families_as_the_lineage_gives_it() -> None:
    lineage = Lineage.read()

    assert {release: len(lineage.families_of(release)) for release in lineage.releases} == lineage.releases


def test_no_family_of_the_lineage_is_unmapped() -> None:
    assert Lineage.read().rows.keys() - names.raw_names().keys() == set()


# A real release


def test_all_that_the_newest_release_registers_is_reached_and_as_the_lineage_has_it() -> None:
    """Needs the package registry when wheel and environment are not there yet, and then fails saying so."""
    lineage = Lineage.read()
    with wheels.sources_of(RELEASE) as sources:
        scan = scan_sources(sources)

    report = compared(RELEASE, scan, run(RELEASE, scan.entries), lineage)

    assert (report.notes, report.unread) == ([], [])
    assert {family.read_by for family in report.families.values()} == {'run'}
    assert (report.unmapped, report.type_changed, report.labels_changed, report.gone) == ([], [], [], [])
    assert report.not_in_lineage == []
    spend = report.families['litellm_spend_metric']
    file, _, line = spend.evidence.partition(':')
    assert (file, spend.registered_by) == (
        'litellm/integrations/prometheus.py',
        'litellm.integrations.prometheus:PrometheusLogger',
    )
    with wheels.sources_of(RELEASE) as sources:
        lines = (sources.text('litellm.integrations.prometheus') or '').splitlines()
    assert any('"litellm_spend_metric"' in text for text in lines[int(line) - 1 : int(line) + 1])
