"""The drift tool: what it reads out of sources, what it says about a release, and what it writes down."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.lineage import lineage as lineage_module
from tests.lineage.family import DriftError, Family
from tests.lineage.lineage import FILES, Files, Lineage

from datadog_checks.litellm import metrics as names
from tools.drift import __main__ as drift_command
from tools.drift import page
from tools.drift.__main__ import main
from tools.drift.dynamic import Run, newest_release, run
from tools.drift.report import compared
from tools.drift.scan import Place, Scan, scan
from tools.real_litellm.environment import RELEASE, Environment, environment


def installed(folder: Path, module: str) -> Environment:
    """Make an environment whose LiteLLM has this module only, `litellm.metrics`."""
    package = folder / 'lib' / 'python3' / 'site-packages' / 'litellm'
    package.mkdir(parents=True)
    (package / 'metrics.py').write_text(module)
    return Environment('9.9.9', folder)


# Scanning sources

LOGGER = """\
from prometheus_client import Counter, Gauge as PrometheusGauge

class Logger:
    def __init__(self, **kwargs):
        self.requests = Counter(name='litellm_requests_total', documentation='Requests.', labelnames=['team'])
        self.state = PrometheusGauge('litellm_state', 'State.', ('model',), multiprocess_mode='livemax')
        self.counter_factory = self.create_factory(Counter)
        self.spend = self.counter_factory('litellm_spend_total', documentation='Spend.')

def make():
    return prometheus_client.Enum('litellm_mode', 'Mode.')

def create_gauge(name):
    return Gauge(f'litellm_{name}', 'Something.')

def count(counter):
    increment_counter('litellm_errors', 1)
"""


def test_a_site_that_spells_a_name_tells_family_and_place(tmp_path: Path) -> None:
    found = scan(installed(tmp_path, LOGGER).packages)

    assert {(family.name, family.type, family.evidence, family.labels) for family in found.families.values()} == {
        ('litellm_requests', 'counter', 'litellm/metrics.py:5', None),
        ('litellm_state', 'gauge', 'litellm/metrics.py:6', None),
        ('litellm_spend', 'counter', 'litellm/metrics.py:8', None),
        ('litellm_mode', 'stateset', 'litellm/metrics.py:11', None),
    }
    assert found.nameless == [Place('litellm/metrics.py', 14, 14)]
    assert (found.entries, found.unread) == (['litellm.metrics:Logger', 'litellm.metrics:make'], [])


@pytest.mark.parametrize(
    'site',
    [
        "Counter(f'litellm_{kind}', 'Something.')",
        "Counter(kind, 'Something.')",
        "Counter('requests', 'Something.', namespace='litellm')",
        "Counter(documentation='Something.', **{'name': kind})",
        "create_counter(kind, 'Something.')",
    ],
)
def test_a_name_that_is_put_together_has_a_place_only(site: str, tmp_path: Path) -> None:
    found = scan(installed(tmp_path, f'from prometheus_client import Counter\n\nrequests = {site}\n').packages)

    assert (found.families, list(map(str, found.nameless))) == ({}, ['litellm/metrics.py:3'])


@pytest.mark.parametrize(
    'text',
    [
        'from collections import Counter\nwords = Counter(["some", "text"], 1)\n',
        'import prometheus_client\nlogger.info("%s", "nothing is made")\napp = prometheus_client.make_asgi_app()\n',
        'from prometheus_client import Counter, Gauge\nstate = Gauge("litellm_state", "")\nCounter(words)\n',
    ],
)
def test_what_makes_no_family_is_no_site(text: str, tmp_path: Path) -> None:
    found = scan(installed(tmp_path, text).packages)

    assert (found.families.keys() - {'litellm_state'}, found.nameless, found.unread) == (set(), [], [])


@pytest.mark.parametrize(
    ('text', 'unread'),
    [
        (
            "from prometheus_client import Counter\nSPECIFIED = [(Counter, 'litellm_first')]\n",
            'litellm/metrics.py:1: nothing is seen to be made of Counter',
        ),
        (
            'from prometheus_client import Counter\ndef broken(:\n',
            'litellm/metrics.py:1: not Python that this tool can parse',
        ),
    ],
)
def test_a_module_that_cannot_be_read_is_reported(text: str, unread: str, tmp_path: Path) -> None:
    assert scan(installed(tmp_path, text).packages).unread == [unread]


# Comparing


def family(name: str, type_: str = 'counter', labels: tuple[str, ...] = ()) -> Family:
    return Family(name, type_, labels, '', '', 'litellm/metrics.py:1', '', 'run')


def families_of(*families: Family) -> dict[str, Family]:
    return {one.name: one for one in families}


def scan_of(*families: Family, nameless: Sequence[Place] = (), unread: Sequence[str] = ()) -> Scan:
    return Scan(families_of(*families), list(nameless), [], list(unread))


def lineage_of(*rows: tuple[str, str, str, str], newest: str = '1.2.0') -> Lineage:
    """Return a lineage of families, given with their labels, first and last release."""
    columns = ('family', 'labels', 'first_release', 'last_release')
    return Lineage([dict(zip(columns, row, strict=True)) for row in rows], {newest: len(rows)})


def test_a_changed_type_is_told_with_both_types() -> None:
    report = compared(
        '1.2.0', scan_of(family('litellm_deployment_state', 'counter')), Run({}, frozenset(), []), lineage_of()
    )

    assert report.type_changed == [{'family': 'litellm_deployment_state', 'mapped_as': 'gauge', 'is': 'counter'}]
    assert report.exit_status == 0


def test_a_changed_label_set_is_told_label_by_label() -> None:
    known = lineage_of(('litellm_spend_metric', 'team|user', '1.0.0', ''))

    report = compared(
        '1.3.0', scan_of(family('litellm_spend_metric', labels=('user', 'org_id'))), Run({}, frozenset(), []), known
    )

    assert report.labels_changed == [{'family': 'litellm_spend_metric', 'added': ['org_id'], 'removed': ['team']}]


def test_labels_in_another_order_are_the_same_set() -> None:
    known = lineage_of(('litellm_spend_metric', 'team|user', '1.0.0', ''))

    report = compared(
        '1.3.0', scan_of(family('litellm_spend_metric', labels=('user', 'team'))), Run({}, frozenset(), []), known
    )

    assert report.labels_changed == []


def test_a_family_is_gone_when_the_lineage_has_it_for_that_release() -> None:
    known = lineage_of(
        ('litellm_current', '', '1.0.0', ''),
        ('litellm_ended', '', '1.0.0', '1.1.0'),
        ('litellm_to_come', '', '1.4.0', ''),
    )

    assert compared('1.3.0', scan_of(), Run({}, frozenset(), []), known).gone == ['litellm_current']


def test_nothing_is_said_to_be_gone_while_something_could_not_be_read() -> None:
    known = lineage_of(('litellm_current', '', '1.0.0', ''))

    assert compared('1.3.0', scan_of(unread=['litellm/metrics.py:1: why']), Run({}, frozenset(), []), known).gone == []


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

UNKNOWN_FAMILY = """\
from prometheus_client import Counter
Counter('litellm_spend_metric', 'Spend.')
Counter('litellm_planted_total', 'Planted.')
"""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Family]:
    """Install a release with an unknown family, and let it register these families when it is run."""
    families: list[Family] = []
    made = installed(tmp_path / 'environment', UNKNOWN_FAMILY)
    monkeypatch.setattr(drift_command, 'environment', lambda release: made)
    monkeypatch.setattr(drift_command, 'run', lambda made, entries: Run(families_of(*families), frozenset(), []))
    return families


@pytest.mark.usefixtures('ran')
def test_an_unknown_family_makes_it_fail_and_is_named_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['9.9.9']) == 1
    assert 'unmapped: 1\n  litellm_planted (counter, litellm/metrics.py:3)\n' in capsys.readouterr().out


@pytest.mark.usefixtures('ran')
def test_known_families_alone_make_it_succeed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(names, 'raw_names', lambda: {'litellm_spend_metric': '', 'litellm_planted': ''})

    assert main(['9.9.9']) == 0
    assert 'unmapped: none' in capsys.readouterr().out


@pytest.mark.usefixtures('ran')
def test_json_holds_every_family_and_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    main(['9.9.9', '--json'])
    report = json.loads(capsys.readouterr().out)

    assert report['unmapped'] == ['litellm_planted']
    assert report['exit_status'] == 1
    assert report['families'][0] == {
        'name': 'litellm_planted',
        'type': 'counter',
        'labels': None,
        'multiprocess_mode': '',
        'help': '',
        'evidence': 'litellm/metrics.py:3',
        'registered_by': '',
        'read_by': 'scan',
    }
    assert {'type_changed', 'labels_changed', 'gone', 'not_in_lineage', 'unread'} <= report.keys()


def test_the_newest_release_is_the_registrys_and_no_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('UV_OFFLINE', '1')
    monkeypatch.setenv('UV_FIND_LINKS', str(tmp_path))
    for version in ('9.9.0', '9.10.0', '9.11.0rc1'):
        with zipfile.ZipFile(tmp_path / f'litellm-{version}-py3-none-any.whl', 'w') as wheel:
            metadata = f'Metadata-Version: 2.1\nName: litellm\nVersion: {version}\n'
            wheel.writestr(f'litellm-{version}.dist-info/METADATA', metadata)

    assert newest_release() == '9.10.0'


def test_a_registry_out_of_reach_is_one_line_and_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing listens on the port of `discard`.
    monkeypatch.setenv('UV_DEFAULT_INDEX', 'http://127.0.0.1:9/simple')
    monkeypatch.setenv('UV_HTTP_RETRIES', '0')

    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("drift: Could not look up LiteLLM's newest release; is the package registry in reach?")


def test_something_that_is_no_release_is_one_line_and_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['newest']) == 2
    assert capsys.readouterr().err == "drift: 'newest' is not a release of LiteLLM such as 1.106.2\n"


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


def test_one_command_extends_data_and_page_by_a_release(
    files: Files, ran: list[Family], capsys: pytest.CaptureFixture[str]
) -> None:
    ran += [family('litellm_spend_metric'), family('litellm_planted')]
    before = Lineage((), {})
    before.extend('9.9.8', families_of(family('litellm_ends'), family('litellm_spend_metric', labels=('team',))))
    before.write()

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


def test_a_release_of_the_lineage_is_not_read_again(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    lineage = Lineage((), {})
    lineage.extend('9.9.8', families_of(family('litellm_spend_metric')))
    lineage.write()
    before = [path.read_text() for path in files]

    assert main(['--write', '9.9.8']) == 0
    assert capsys.readouterr().out == 'LiteLLM 9.9.8 is in the lineage: 1 families\n'
    assert [path.read_text() for path in files] == before


def test_a_release_of_which_not_all_could_be_run_does_not_enter_the_lineage(
    files: Files, ran: list[Family], capsys: pytest.CaptureFixture[str]
) -> None:
    lineage = Lineage((), {})
    lineage.extend('9.9.8', {})
    lineage.write()

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
    """Needs the package registry when the environment is not there yet, and then fails saying so."""
    made = environment(RELEASE)
    found = scan(made.packages)

    report = compared(RELEASE, found, run(made, found.entries), Lineage.read())

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
    lines = (made.packages / file).read_text().splitlines()
    assert any('"litellm_spend_metric"' in text for text in lines[int(line) - 1 : int(line) + 1])
