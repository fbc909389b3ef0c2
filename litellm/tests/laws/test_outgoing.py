"""The labels of a series that leave the host: by the user's choice, and secrets never."""

from __future__ import annotations

import gzip
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.mapping.labels import FORMER_NAMES, METADATA_PREFIXES, PERSONAL_LABELS, is_custom
from datadog_checks.litellm.mapping.outgoing import OutgoingLabels
from datadog_checks.litellm.metrics import GAUGES
from datadog_checks.litellm.options import Options
from datadog_checks.litellm.secret_forms import FORMS, UNCLEAR, Form, without_secrets
from datadog_checks.litellm.secrets import Redactor
from tests.lineage.lineage import Lineage
from tests.support.agent_model import AgentModel, Context
from tests.support.endpoint import OPENMETRICS, serving_page
from tests.support.simulated_proxy import PageServer

HASH = '5f' * 32
CLEAR = 'key-without-prefix'

REQUESTS = 'litellm.requests.metric.count'


@pytest.fixture(params=[{}, {'use_stock_scraper': True}], ids=['exact', 'stock'])
def scraper(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Run a test with either scraper."""
    return dict(request.param)


def requests_page(*series: tuple[str, float], end: str = '') -> str:
    """Return a page of one counter: label text and value of each series."""
    lines = [f'litellm_requests_metric_total{{{labels}}} {value}\n' for labels, value in series]
    return f'# TYPE litellm_requests_metric_total counter\n{"".join(lines)}{end}'


def check_of(url: str, options: dict[str, Any]) -> LitellmCheck:
    # The tests look at contexts, whether anything happened or not.
    instance = {'openmetrics_endpoint': url, 'tag_by_endpoint': False, 'idle_counts': 'always', **options}
    return LitellmCheck('litellm', {}, [instance])


def contexts_of(page: str, options: dict[str, Any]) -> set[Context]:
    """Return the contexts of all that two scrapes of a page submit."""
    with serving_page(page) as url:
        agent = AgentModel()
        check = check_of(url, options)
        for _ in range(2):
            flush = agent.run(check)
            assert not flush.error
    return {*flush.counts, *flush.gauges}


def tags_of(page: str, options: dict[str, Any]) -> list[list[str]]:
    return sorted(sorted(context.tags) for context in contexts_of(page, options))


@pytest.mark.parametrize('document', ['../docs/data.md', 'assets/configuration/spec.yaml'])
def test_the_personal_labels_are_listed_where_the_option_is_described(document: str) -> None:
    text = (Path(__file__).parents[2] / document).read_text()
    listed = re.search(r'(`api_key_alias`,.*`requester_metadata_[^`]*`)', text, re.DOTALL)

    assert listed is not None
    names = {name.rstrip('*') for name in re.findall(r'`(\w+[*]*)`', listed[0])}
    assert names - {'custom_prometheus_metadata_labels'} == {*PERSONAL_LABELS, *METADATA_PREFIXES}


@pytest.mark.parametrize('label', sorted({*PERSONAL_LABELS, 'metadata_desk', 'requester_metadata_name'}))
def test_a_personal_label_is_dropped_on_request(label: str, scraper: dict[str, Any]) -> None:
    page = requests_page((f'{label}="ann",model="gpt-5"', 1))

    assert tags_of(page, {**scraper, 'exclude_personal_labels': True}) == [['model:gpt-5']]


@pytest.mark.parametrize('label', ['foo', 'user_agent_family', 'metadata', 'mail'])
def test_a_label_that_no_release_has_is_personal_until_it_is_kept(label: str, scraper: dict[str, Any]) -> None:
    page = requests_page((f'{label}="jane.doe",model="gpt-5"', 1))
    options = {**scraper, 'exclude_personal_labels': True}

    assert tags_of(page, options) == [['model:gpt-5']]
    assert tags_of(page, {**options, 'keep_labels': [label]}) == [sorted([f'{label}:jane.doe', 'model:gpt-5'])]


def test_a_personal_label_may_be_kept_but_not_a_key_in_clear(scraper: dict[str, Any]) -> None:
    page = requests_page(('hashed_api_key="my password",user="ann",team_alias="red"', 1))
    options = {**scraper, 'exclude_personal_labels': True, 'keep_labels': ['hashed_api_key', 'team_alias']}

    assert tags_of(page, options) == [['hashed_api_key:redacted', 'team_alias:red']]


def test_no_label_of_any_release_is_custom() -> None:
    assert sorted(filter(is_custom, Lineage.read().labels() - FORMER_NAMES.keys())) == []


def test_labels_of_forks_and_of_early_releases_get_their_names_of_today(scraper: dict[str, Any]) -> None:
    page = requests_page(('llm_model_name="gpt-5",team_id="red"', 1))

    assert tags_of(page, scraper) == [['litellm_model_name:gpt-5', 'team:red']]


def test_a_former_name_beside_the_one_of_today_is_another_label(scraper: dict[str, Any]) -> None:
    page = requests_page(('team="blue",team_id="red"', 1))

    assert tags_of(page, scraper) == [['team:blue', 'team_id:red']]


@pytest.mark.parametrize('label', ['team', 'tag_prod', 'org_alias'])
def test_another_label_is_kept(label: str, scraper: dict[str, Any]) -> None:
    page = requests_page((f'{label}="red"', 1))

    assert tags_of(page, {**scraper, 'exclude_personal_labels': True}) == [[f'{label}:red']]


def test_personal_and_empty_labels_are_kept_by_default(scraper: dict[str, Any]) -> None:
    page = requests_page(('end_user="ann",team="None",model=""', 1))

    assert tags_of(page, scraper) == [['end_user:ann', 'model:', 'team:None']]


def test_empty_labels_are_dropped_on_request(scraper: dict[str, Any]) -> None:
    page = requests_page(('end_user="other",team="None",model="",user="none"', 1))

    assert tags_of(page, {**scraper, 'drop_empty_labels': True}) == [['end_user:other', 'user:none']]


@pytest.mark.parametrize(
    'options',
    [
        {'hostname_label': 'client_ip'},
        {'rename_labels': {'client_ip': 'from'}},
        {'include_labels': ['client_ip', 'model']},
    ],
    ids=str,
)
def test_no_option_brings_a_personal_label_back(options: dict[str, Any], scraper: dict[str, Any]) -> None:
    page = requests_page(('client_ip="10.0.0.7",model="gpt-5"', 1))

    contexts = contexts_of(page, {**scraper, **options, 'exclude_personal_labels': True})

    assert contexts == {Context(REQUESTS, frozenset({'model:gpt-5'}))}


def test_personal_labels_are_not_shared_with_other_families() -> None:
    page = requests_page(('model="gpt-5"', 1)) + (
        '# TYPE litellm_deployment_state gauge\nlitellm_deployment_state{model="gpt-5",user_email="a@b.c"} 0\n'
    )
    share = {'litellm_deployment_state': {'match': ['model'], 'labels': ['user_email']}}

    shared = tags_of(page, {'share_labels': share})
    assert ['model:gpt-5', 'user_email:a@b.c'] in shared
    assert tags_of(page, {'share_labels': share, 'exclude_personal_labels': True}) == [['model:gpt-5']] * 2


def test_series_can_be_left_out_by_a_personal_label_that_is_dropped(scraper: dict[str, Any]) -> None:
    page = requests_page(('end_user="ann",model="a"', 1), ('end_user="ben",model="b"', 1))
    options = {'exclude_metrics_by_labels': {'end_user': ['ann']}, 'exclude_personal_labels': True}

    assert tags_of(page, {**scraper, **options}) == [['model:b']]


@pytest.mark.parametrize('extra', [{}, {'exclude_personal_labels': True}], ids=str)
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'rename_labels': {'hashed_api_key': 'key'}},
        {'hostname_label': 'hashed_api_key'},
        {'exclude_labels': ['model']},
        {'include_labels': ['hashed_api_key']},
        {'share_labels': {'litellm_deployment_state': {'match': ['model'], 'labels': ['hashed_api_key']}}},
        {'share_labels': {'litellm_deployment_state': True}},
        {'target_info': True},
    ],
    ids=str,
)
def test_a_key_in_clear_never_leaves(options: dict[str, Any], extra: dict[str, Any], scraper: dict[str, Any]) -> None:
    page = (
        f'# TYPE target info\ntarget_info{{hashed_api_key="{CLEAR}"}} 1\n'
        '# TYPE litellm_deployment_state gauge\n'
        f'litellm_deployment_state{{hashed_api_key="{CLEAR}",model="gpt-5"}} 0\n'
        '# TYPE litellm_requests_metric counter\n'
        f'litellm_requests_metric_total{{hashed_api_key="{CLEAR}",model="gpt-5"}} 1\n# EOF\n'
    )
    with serving_page(page, OPENMETRICS) as url:
        agent = AgentModel()
        check = check_of(url, {**options, **extra, **scraper})
        for _ in range(2):
            assert not agent.run(check).error

    assert agent.gauges
    assert CLEAR not in f'{agent.gauges} {agent.count_totals} {check.get_warnings()}'


@pytest.mark.parametrize(
    'key',
    [HASH, f'hashed-jwt-{HASH}', 'None', '', 'other', 'litellm-internal-health-check', 'litellm_proxy_master_key'],
)
def test_a_hash_or_a_name_of_litellm_is_sent(key: str, scraper: dict[str, Any]) -> None:
    assert tags_of(requests_page((f'hashed_api_key="{key}"', 1)), scraper) == [[f'hashed_api_key:{key}']]


def test_counts_of_keys_in_clear_are_summed(scraper: dict[str, Any]) -> None:
    first = requests_page((f'hashed_api_key="{CLEAR}1"', 7), (f'hashed_api_key="{CLEAR}2"', 20))
    second = requests_page((f'hashed_api_key="{CLEAR}1"', 8), (f'hashed_api_key="{CLEAR}2"', 22))
    with PageServer(first) as server:
        agent, check = AgentModel(), check_of(server.url, scraper)
        agent.run(check)
        server.page = second
        agent.run(check)

    assert agent.total(REQUESTS, 'hashed_api_key:redacted') == 1 + 2


def test_gauges_that_become_one_are_reduced_by_what_they_mean(scraper: dict[str, Any]) -> None:
    lines = [
        f'# TYPE {family} gauge\n'
        + ''.join(
            f'{family}{{team="red",user="{n}"}} {value}\n' for n, value in enumerate(('3', 'NaN', '5', '+Inf', '4'))
        )
        for family in GAUGES
    ]
    with serving_page(''.join(lines)) as url:
        agent = AgentModel()
        agent.run(check_of(url, {**scraper, 'exclude_personal_labels': True}))

    expected = {f'litellm.{gauge.name}': gauge.reduction(gauge.reduction(3, 5), 4) for gauge in GAUGES.values()}
    assert {context.name: value for context, value in agent.gauges.items()} == expected


def test_the_user_is_told_of_keys_in_clear_once_a_run_and_not_which(scraper: dict[str, Any]) -> None:
    page = requests_page(*((f'hashed_api_key="{CLEAR}-{n}"', 1) for n in range(50)))
    with serving_page(page) as url:
        check = check_of(url, scraper)
        for _ in range(2):
            assert not check.run()
            (warning,) = check.get_warnings()
            assert 'do not start with `sk-`' in warning
            assert CLEAR not in warning


def test_nobody_is_told_of_keys_that_are_hashed(scraper: dict[str, Any]) -> None:
    with serving_page(requests_page((f'hashed_api_key="{HASH}"', 1))) as url:
        check = check_of(url, scraper)
        assert not check.run()
        assert check.get_warnings() == []


@pytest.mark.parametrize('label', ['api_base', 'model', 'litellm_model_name'])
@pytest.mark.parametrize(
    ('address', 'left'),
    [
        ('https://models.example/v1', 'https://models.example/v1'),
        ('https://bot:hunter2@models.example/v1', 'https://models.example/v1'),
        ('https://hunter2@models.example/v1', 'https://models.example/v1'),
        ('https://bot:hunt/er2@models.example/v1', 'https://models.example/v1'),
        ('https://bot:hunt er2@models.example/v1', 'https://models.example/v1'),
        ('https://bot:hunt@er2@models.example/v1', 'https://models.example/v1'),
        ('https://bot:hunt?er2@models.example/v1', 'https://models.example/v1'),
        ('https://bot:hunt#er2@models.example/v1', 'https://models.example/v1'),
        ('https://hunt?er2@models.example/v1', 'https://redacted'),
        ('https://bot:12?hunter2@models.example/v1', 'https://redacted'),
        ('https://models.example:443?to=a@hunter2', 'https://redacted'),
        ('https://models.example/v1?to=a@hunter2', 'https://redacted'),
        ('https://models.example/v1?key=hunter2', 'https://models.example/v1'),
        ('https://models.example/v1#hunter2', 'https://models.example/v1'),
        ('huggingface/https://bot:hunter2@models.example/v1?key=hunter2', 'huggingface/https://models.example/v1'),
    ],
)
def test_a_secret_in_an_address_never_leaves(address: str, left: str, label: str, scraper: dict[str, Any]) -> None:
    assert tags_of(requests_page((f'{label}="{address}"', 1)), scraper) == [[f'{label}:{left}']]


@pytest.mark.parametrize(
    ('address', 'left'),
    [
        ('bot:hunter2@models.example/v1', 'models.example/v1'),
        ('//bot:hunter2@models.example', 'models.example'),
        ('models.example/v1?key=hunter2&next=https://x', 'models.example/v1'),
        ('bot:http://hunter2@models.example', 'models.example'),
        ('models.example:8000/v1', 'models.example:8000/v1'),
    ],
)
def test_the_address_of_a_deployment_may_lack_its_scheme(address: str, left: str, scraper: dict[str, Any]) -> None:
    assert tags_of(requests_page((f'api_base="{address}"', 1)), scraper) == [[f'api_base:{left}']]


@pytest.mark.parametrize(
    'address',
    [
        'https://europe-west1-aiplatform.googleapis.com/v1/projects/p/models/claude-sonnet-4@20250514:streamRawPredict',
        'europe-west1-aiplatform.googleapis.com/v1/projects/p/publishers/google/models/text-bison@001:generateContent',
        'https://models.example:8443/v1/models/mistral-large@2411-001',
        'https://models.example/v1/models/mistral-large@latest',
        'projects/p/models/claude-opus-4-6@20260205',
        'text-bison@001',
        'https://api.cloudflare.com/client/v4/accounts/a1/ai/run/@cf/meta/llama-3.1-8b-instruct-fp8',
    ],
)
def test_the_version_of_a_model_at_the_end_of_its_address_is_no_host(address: str, scraper: dict[str, Any]) -> None:
    """LiteLLM makes such addresses for models of Vertex AI, and has made them for those of Cloudflare."""
    assert tags_of(requests_page((f'api_base="{address}"', 1)), scraper) == [[f'api_base:{address}']]


def test_the_query_behind_the_version_of_a_model_is_left_out(scraper: dict[str, Any]) -> None:
    address = 'https://gateway.example/v1/models/claude-sonnet-4-5@20250929:streamRawPredict'
    assert tags_of(requests_page((f'api_base="{address}?alt=sse"', 1)), scraper) == [[f'api_base:{address}']]


@pytest.mark.parametrize(
    'address',
    [
        'https://bot:hunter2@latest',
        'https://models.example/v1?to=a@hunter2',
        'https://models.example/v1/models/text-bison@001?to=hunt@er2',
        'https://bot:hunt/er2@20250514',
        'https://hunter2@default',
        'https://bot:hunter2@models.example/v1/models/text-bison@001',
        'https://models.example/v1?key=hunter2@001',
        'https://bot:hunter2/@cf/meta/llama',
        'https://bot.example:hunter2/a/@cf/meta/llama',
        'https://bot.example/a/@cf/meta/llama?key=hunter2',
        'https://bot:hunter2@api.cloudflare.com/ai/run/@cf/meta/llama',
    ],
)
def test_what_resembles_the_version_of_a_model_shows_no_secret(address: str, scraper: dict[str, Any]) -> None:
    (tags,) = tags_of(requests_page((f'api_base="{address}"', 1)), scraper)

    assert 'hunt' not in ''.join(tags)
    assert 'er2' not in ''.join(tags)


@pytest.mark.parametrize(
    ('value', 'left'),
    [
        ('https://idp.example/users/me@example.com', 'https://idp.example/users/me@example.com'),
        ('https://idp.example/?user=me@example.com', 'https://idp.example/?user=me@example.com'),
        ('https://idp.example/?user=me&api_key=hunter2', 'https://idp.example/?user=me&'),
        ('https://me:hunter2@idp.example/', 'https://idp.example/'),
        ('Mozilla/5.0 (+http://example.com/bot.html?x=1)', 'Mozilla/5.0 (+http://example.com/bot.html?x=1)'),
        ('sk-hunter2hunter2hunter2', 'redacted'),
    ],
)
def test_what_identifies_somebody_is_left_but_for_secrets(value: str, left: str, scraper: dict[str, Any]) -> None:
    assert tags_of(requests_page((f'end_user="{value}"', 1)), scraper) == [[f'end_user:{left}']]


@pytest.mark.parametrize('label', ['model', 'requested_model', 'end_user', 'metadata_x', 'api_base'])
@pytest.mark.parametrize(
    'value',
    [
        'gpt-5?key=hunter2',
        'gpt-5?a=b&api_key=hunter2',
        'gpt-5;key=hunter2',
        'gpt-5#access_token=hunter2',
        'key=hunter2',
        'x-api-key=hunter2',
        'gpt-5, SECRET=hunter2',
        'https://models.example/v1;key=hunter2',
        'https://models.example/v1;jsessionid=1;token=hunter2/x',
        'gpt-5%3Fkey%3Dhunter2',
        'gpt-5%253Fkey%253Dhunter2',
        'https%3A%2F%2Fbot%3Ahunter2%40models.example%2Fv1',
        'sk-hunter2hunter2hunter2',
        'SK-HUNTER2HUNTER2HUNTER2',
        'openai/sk-hunter2hunter2hunter2',
        'api_key_sk-hunter2hunter2hunter2',
        'sk-Hunter2-hunter2-Hunt-g',
        r'denied:\\nsk-hunter2hunter2hunter2',
        'team-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2hunter2',
        '%73%6b-hunter2hunter2hunter2',
        'Bearer hunter2hunter2',
        'authorization: bearer  hunter2hunter2',
        'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2hunter2',
        'x-api-key: hunter2',
        r'{\"api_key\": \"hunter2\"}',
        r'{\"private_key\":\"hunter2\"}',
        'Basic hunter2hunter2==',
        'authorization: basic  hunter2hunter2',
        'https://hooks.slack.com/services/T0/B0/hunter2',
        'https://discord.com/api/webhooks/1/hunter2',
    ],
)
def test_a_secret_is_known_by_its_place_or_form_whatever_label_has_it(
    value: str, label: str, scraper: dict[str, Any]
) -> None:
    (tags,) = tags_of(requests_page((f'{label}="{value}"', 1)), scraper)

    assert 'hunter2' not in ''.join(tags).lower()
    assert [tag.partition(':')[0] for tag in tags] == [label]


@pytest.mark.parametrize('label', ['model', 'requested_model', 'litellm_model_name'])
@pytest.mark.parametrize(
    'value', ['bot:hunter2@models.example/v1', 'ollama/bot:hunter2@models:11434', 'openai/bot:hunt:er2@[::1]:80']
)
def test_the_name_of_a_model_may_be_an_address_without_a_scheme(
    value: str, label: str, scraper: dict[str, Any]
) -> None:
    (tags,) = tags_of(requests_page((f'{label}="{value}"', 1)), scraper)

    assert 'bot' not in ''.join(tags)
    assert 'er2' not in ''.join(tags)


@pytest.mark.parametrize(
    'value',
    [
        'anthropic.claude-v2:1@eu',
        'claude-3-5-sonnet@20240620',
        'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude',
        'ft:gpt-4o:acme::a1b2',
        'llama3:8b-instruct-q4_0',
        'a=b',
        'monkey=1',
        'max_tokens=100',
        '100% pure',
        'a%2Fb',
        'the bearer of it',
        'sk-short',
        'risk-management-department',
    ],
)
def test_what_only_resembles_a_secret_is_sent(value: str, scraper: dict[str, Any]) -> None:
    assert tags_of(requests_page((f'model="{value}"', 1)), scraper) == [[f'model:{value}']]


# How keys of an issuer begin, and what follows.
LETTERS, DIGITS, CAPITALS = 'Hunter2Hunter2Hunter2' * 4, '5f3a' * 16, 'HUNTER2' * 12
UUID = '5f3a5f3a-5f3a-5f3a-5f3a-5f3a5f3a5f3a'
ISSUED = (
    *(f'{prefix}{LETTERS}' for prefix in (
        'ya29.', 'ghp_', 'github_pat_', 'glpat-', 'glrt-', 'glc_', 'glsa_', 'xoxb-', 'xapp-1-', 'hf_', 'gsk_', 'pplx-',
        'xai-', 'nvapi-', 'r8_', 'tgp_v1_', 'sk_live_', 'rk_live_', 'whsec_', 'AIza', 'GOCSPX-', '1//0', 'npm_',
        'pypi-', 'dckr_pat_', 'fw_', 'csk-', 'jina_', 'tvly-', 'wandb_v1_', 'lin_api_', 'ntn_', 'figd_', 'sb_secret_',
        'hvs.', 'dp.pt.', 'ATATT', 'ABSK', 'bedrock-api-key-', 'IQoJb3JpZ2lu', 'ddapp_', 'ddpat_', 'AQ.Ab8', 'vck_',
        'pcsk_a_', 'pa-', 'flp_', 'esecret_', 'sess-', 'llx-', 'secret_', 'HRKU-',
    )),
    *(f'{prefix}{DIGITS[:size]}' for prefix, size in (
        ('dapi', 32), ('dop_v1_', 64), ('e2b_', 40), ('fc-', 32), ('key-', 32), ('lsv2_pt_', 32), ('sbp_', 40),
        ('shpat_', 32), ('SK', 32), ('sk_', 48), ('rc_', 64), ('dose', 32),
    )),
    *(f'{prefix}{CAPITALS}' for prefix in ('AGE-SECRET-KEY-1', 'NRAK-', 'rpa_', 'dt0c01.HUNTER2HUNTER2HUNTER2.')),
    'AKIAHUNTER2HUNTER2AB', 'ASIAHUNTER2HUNTER2AB', f'SG.{LETTERS[:22]}.{LETTERS[:43]}', f're_Hunter22_{LETTERS}',
    f'PMAK-{DIGITS[:24]}-{DIGITS[:34]}', f'pk-lf-{UUID}', f'sk-lf-{UUID}', f'{UUID}:{DIGITS[:32]}',
    f'{LETTERS[:52]}JQQJ99BAACYeBjFXJ3w3AAABACOG1234', f'abc8Q~{LETTERS[:34]}', f'{DIGITS[:32]}.{LETTERS[:16]}',
    f'123456789:AA{LETTERS[:33]}', f'dapi{DIGITS[:32]}-2', f'glpat-{LETTERS[:27]}.01.{DIGITS[:9]}',
    'eyJhbGciOiJkaXIifQ..hunter2hunter2.hunter2.hunter2', '-----BEGIN RSA PRIVATE KEY-----hunter2',
    '-----BEGIN PGP PRIVATE KEY BLOCK-----hunter2',
)  # fmt: skip


@pytest.mark.parametrize('key', ISSUED)
def test_a_key_is_known_by_the_form_that_its_issuer_gives_it(key: str) -> None:
    outgoing = OutgoingLabels(Options.of({}), {}, Redactor())
    for label in ('model', 'end_user', 'api_base', 'metadata_x'):
        assert outgoing.of({label: key}) == {label: 'redacted'}
        assert outgoing.of({label: f'a/{key} b'})[label].startswith('a/redacted')  # type: ignore[index]


# What follows the beginning of a key, in the form of one row or another.
RESTS = (
    LETTERS, DIGITS, CAPITALS, CAPITALS[:16], DIGITS[:32], UUID, f'{LETTERS[:8]}_{LETTERS}',
    f'{LETTERS[:22]}.{LETTERS}', f'{CAPITALS[:24]}.{CAPITALS}', f'{DIGITS}-{DIGITS}',
)  # fmt: skip


@pytest.mark.parametrize('form', FORMS, ids=[form.beginnings for form in FORMS])
def test_every_key_of_a_form_is_known_and_words_are_not(form: Form) -> None:
    rests = [rest for rest in RESTS if re.fullmatch(form.rest, rest, re.ASCII)]
    assert rests
    for beginning in form.beginnings.split():
        for rest in rests:
            assert without_secrets(f'a {beginning}{rest} b', is_address=False) == f'a {UNCLEAR} b'
        if not beginning[-1].isalnum() and not re.search('key|secret', beginning, re.IGNORECASE):
            name = f'{beginning}of-all-the-words-that-somebody-may-use-for-a-name'
            assert without_secrets(name, is_address=False) == name


@pytest.mark.parametrize('label', ['model', 'api_base', 'route'])
def test_what_looks_random_is_withheld_where_it_identifies_nobody(label: str) -> None:
    """Mistral, Cohere and others issue keys of letters and digits only. So are the IDs of users."""
    key = 'Ab3dE9fGh1Jk2Lm4Np5Qr6St7Uv8Wx9Z'
    outgoing = OutgoingLabels(Options.of({}), {}, Redactor())

    assert outgoing.of({label: f'openai/{key}'}) == {label: 'openai/redacted'}
    for name in ('LlamaEndpointStackEndpoint3F2A1B4C', HASH, UUID, key[:24]):
        assert outgoing.of({label: name}) == {label: name}
    assert outgoing.of({'end_user': key}) == {'end_user': key}


@pytest.mark.parametrize('label', ['model', 'end_user', 'metadata_x', 'user_agent'])
def test_names_that_begin_like_the_keys_of_an_issuer_are_sent(label: str) -> None:
    names = (
        *('basic authentication', 'the basic-plan', 'xai/grok-2-latest', 'pplx-70b-online', 'hf_team/hf_model-8b'),
        *('dapi-team', 'fw_model', 'npm_team', 'SG.east.models', 'key-of-the-team', 'fc-model', 'SKU12345'),
        *('pk-lf-team', 'groq/gsk_model', 'akia/model', 'ghost-writer', 'ollama/key:latest', '2026-11-29T01:02:03Z'),
        *('3fa85f64-5717-4562-b3fc-2c963f66afa6', 'user_2NNEqL2nrIRdJ194ndJqAHwEfxC', 'auth0|5f3a5f3a5f3a5f3a5f3a5f3a'),
        *(
            'sk-hynix-production',
            'sk-telecom-a-dot-x-4-large',
            'sk-SK-localized-support-bot',
            'sk-learn-classifier-v2-prod',
        ),
        *(
            'SK-Hynix-Production-2026',
            'risk-sk-management-department-x',
            'openai/sk-hynix-production-claude-4-20250514',
        ),
        *('Basic plan2026', 'Bearer authentication', 'the bearer authentication filter', 'bearer-authentication-team'),
        *('pa-production-assistants-for-the-whole-company', 'SG.production-models-asia.team-of-many-people'),
        *('pypi-mirror-team-with-a-very-long-name-that-goes-on-and-on-and', 'gsk_pharma-production-glaxo'),
        *(f'user_{HASH}_account__session_{UUID}', f'{{"device_id":"{HASH}","session_id":"{UUID}"}}', 'R&amp;D'),
        *('AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',) * (label not in ('model',)),
        *('secret_internationalization', 'sess-team', 'AQ.team', '8Q~', 'team8Q~x', 'asia-southeast1'),
        *('turkey=1', 'hockey: 1', 'bypass=true', 'compass: north', 'author: me', 'auth: oauth2', 'tokenizer=cl100k'),
        *(
            'api_key=',
            'pass=true',
            'sort_key=asc',
            'token=None',
            'max_token=5',
            'idempotency-key: 123',
            'sk-8x22b-instruct-v0.1-awq',
            'key accounts',
            'cookie-monster',
            'hooks/of/the-team',
            'pwd',
        ),
    )
    outgoing = OutgoingLabels(Options.of({}), {}, Redactor())
    for name in names:
        assert outgoing.of({label: name}) == {label: name}


@pytest.mark.parametrize(
    ('value', 'left'),
    [
        ('password=hun,ter2', ''),
        ('password=hun;ter2&hunter2#hunter2', ''),
        ('password=#hunter2', ''),
        ('password=,hunter2', ''),
        ('password=123&hunter2', ''),
        ('token=none;hunter2', ''),
        ('pin_key=12, size=3', 'pin_key=12, size=3'),
        ('password="hun ter2"', ''),
        ("password='hun ter2', user=me", ', user=me'),
        ('{"password": "hun,t\\"er2", "user": "me"}', '{", "user": "me"}'),
        (r'{\"api_key\":\"hun ter2\",\"user\":\"me\"}', r'{\",\"user\":\"me\"}'),
        ('host=db user=llm password=hunter2 dbname=x', 'host=db user=llm  dbname=x'),
        ('x.redis.example:6380,password=hunter2=,ssl=True', 'x.redis.example:6380,,ssl=True'),
        ('Server=db;Uid=me;Pwd=hunter2;Port=1', 'Server=db;Uid=me;;Port=1'),
        ('PGPASSWORD=hunter2', ''),
        ('apikey=hunter2', ''),
        ('apikey:hunter2', ''),
        ('apiKey=hunter2', ''),
        ('accessToken: hunter2', ''),
        ('client_secret = hunter2', ''),
        ('api_key => hunter2', ''),
        ('credentials: hunter2', ''),
        ('passphrase=hunter2', ''),
        ('Authorization: Token hunter2', ''),
        ('x-api-key: Bearer hunter2', ''),
        ('api_keys=hunter2,hunter2', ''),
        ('https://x/?auth=>Bearer hunter2hunter2', 'https://x/? redacted'),
        ('Bearer:hunter2hunter2', 'Bearer:redacted'),
        ('x; Cookie: session=hunter2; b=hunter2', 'x; '),
        ('api_key&#61;hunter2', ''),
        ('api_key\\u003dhunter2', ''),
        ('key%2525252525252525252525253Dhunter2', ''),
        ('Bearer aHVudGVyMg/aHVudGVyMg', 'Bearer redacted'),
        ('Basic aHVudGVyOmh1bnRlcg', 'Basic redacted'),
        ('https://discord.com/api/v10/webhooks/1/hunter2', 'https://discord.com/api/v10/webhooks/redacted'),
        ('https://contoso.webhook.office.com/webhookb2/1@2/hunter2', 'https://contoso.webhook.office.com/redacted'),
        ('https://chat.example/hooks/hunter2', 'https://chat.example/hooks/redacted'),
    ],
)
def test_what_a_name_says_is_secret_goes_as_a_whole_and_nothing_else(value: str, left: str) -> None:
    for label in ('end_user', 'metadata_x'):
        assert OutgoingLabels(Options.of({}), {}, Redactor()).of({label: value}) == {label: left}


def test_the_name_of_a_label_that_only_begins_like_a_key_is_sent() -> None:
    labels = {'metadata_sk_hynix_production_team': 'a', 'task_sk_1': 'b'}

    assert OutgoingLabels(Options.of({}), {}, Redactor()).of(labels) == labels


def test_nothing_on_the_page_of_a_real_proxy_is_taken_for_a_secret() -> None:
    """Keys of clients are hashed on it, and all addresses and names are ordinary."""
    outgoing = OutgoingLabels(Options.of({}), {}, Redactor())
    capture = Path(__file__).parents[1] / 'pages' / 'with_database' / '1.110.2.txt.gz'
    labels = set(re.findall(r'(\w+)="([^"]+)"', gzip.decompress(capture.read_bytes()).decode()))

    assert {name for name, _ in labels} >= {'model', 'api_base', 'hashed_api_key', 'route', 'user'}
    for name, value in labels:
        assert outgoing.of({name: value}) == {FORMER_NAMES.get(name, name): value}


def test_a_key_that_is_the_name_of_a_label_never_leaves(scraper: dict[str, Any]) -> None:
    page = requests_page(('sk_hunter2hunter2hunter2="x",model="a"', 1))

    assert tags_of(page, scraper) == [['model:a', 'redacted:x']]


@pytest.mark.parametrize(
    'part',
    [
        'a:a/',
        '?key',
        'eyJ-',
        'eyJaaaaaaaa.',
        '%2525',
        ' bearer',
        ' basic a',
        'key: ',
        'AKIA',
        'xoxb-',
        '-----BEGIN ',
        '@:',
        '://',
        ';',
        'sk-',
        'a=',
        'a.',
        'SG.a',
        'key-',
        '@001',
        '?a;a#a&',
        '=[',
        'sk-a-',
        'AQ.a-',
        '://hook/',
        '/hook.a',
        'key=a,',
        'password="\\',
        'a_key',
        '%25',
        '\\u0041',
        '&#65;',
        '\\',
        'aA1',
        'Bearer a1',
    ],
    ids=str,
)
def test_the_gate_takes_linear_time_whatever_the_text(part: str) -> None:
    outgoing = OutgoingLabels(Options.of({}), {}, Redactor(['sk-secret-key', 'another:secret']))
    for label in ('model', 'api_base', 'end_user'):
        started = time.process_time()
        for text in (part * (50_000 // len(part)), 'x' * 50_000 + part, part + 'x ' * 25_000):
            outgoing.of({label: text})
        assert time.process_time() - started < 1


@pytest.mark.parametrize('label', ['route', 'requested_model'])
def test_nothing_is_kept_of_long_labels(label: str) -> None:
    outgoing = OutgoingLabels(Options.of({'normalize_routes': True}), {}, Redactor())
    outgoing.of({label: '/v1/models'})

    tracemalloc.start()
    for number in range(20):
        outgoing.of({label: f'/v1/{number}' + 'x' * 20_000})
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20_000


@pytest.mark.parametrize('value', ['5F' * 32, '5F' + '5f' * 31, 'hashed-jwt-' + '5F' * 32])
def test_upper_case_digits_are_no_hash(value: str, scraper: dict[str, Any]) -> None:
    assert tags_of(requests_page((f'hashed_api_key="{value}"', 1)), scraper) == [['hashed_api_key:redacted']]


def test_the_stock_scraper_says_where_it_is_not_exact() -> None:
    with serving_page(requests_page(('model="a"', 1))) as url:
        check = check_of(url, {'use_stock_scraper': True, 'exclude_personal_labels': True})
        # The Agent's status page shows the warnings of the last run only.
        for _ in range(2):
            check.run()
            (warning,) = check.get_warnings()
            assert '`exclude_personal_labels`' in warning


LONG = 'm' * 200
# Pairs of labels that are one tag to Datadog: by case, beyond the 200th character of `model:…`, by other characters.
ALIKE = [
    ('model="GPT-5"', 'model="gpt-5"'),
    (f'model="{LONG}a"', f'model="{LONG}b"'),
    ('model="gpt 5"', 'model="gpt_5"'),
    ('model="gpt-5 (eu)"', 'model="gpt-5_[eu]"'),
]


@pytest.mark.parametrize('alike', ALIKE, ids=['case', 'length', 'space', 'brackets'])
@pytest.mark.parametrize('gone', [0, 1])
def test_counts_of_series_that_are_one_to_datadog_are_summed_and_stay_right_when_one_ends(
    alike: tuple[str, str], gone: int
) -> None:
    first, other = alike
    agent = AgentModel()
    with PageServer(requests_page((first, 5), (other, 7))) as server:
        check = check_of(server.url, {})
        agent.run(check)
        server.page = requests_page((first, 6), (other, 9))
        both = agent.run(check)
        server.page = requests_page([(first, 6), (other, 13)][1 - gone])
        alone = agent.run(check)

    (context,) = both.counts
    assert context.tags == {first.replace('="', ':').rstrip('"')}
    assert both.counts == {context: 3}
    assert alone.counts == {context: 0 if gone else 4}


@pytest.mark.parametrize('alike', ALIKE, ids=['case', 'length', 'space', 'brackets'])
@pytest.mark.parametrize(
    ('family', 'metric', 'expected'),
    [
        ('litellm_deployment_state', 'litellm.deployment.state', 2),
        ('litellm_remaining_requests_metric', 'litellm.remaining_requests.metric', 0),
    ],
)
def test_gauges_that_are_one_to_datadog_are_reduced_by_what_they_mean(
    alike: tuple[str, str], family: str, metric: str, expected: float
) -> None:
    first, other = alike
    page = f'# TYPE {family} gauge\n{family}{{{first}}} 0\n{family}{{{other}}} 2\n'

    with serving_page(page) as url:
        flush = AgentModel().run(check_of(url, {}))

    assert [value for context, value in flush.gauges.items() if context.name == metric] == [expected]


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('model="gpt-5"', 'model="gpt.5"'),
        ('model="é"', 'model="è"'),
        (f'model="{LONG[:193]}a"', f'model="{LONG[:193]}b"'),
    ],
)
def test_series_that_datadog_tells_apart_stay_apart(one: str, other: str) -> None:
    assert len(tags_of(requests_page((one, 1), (other, 1)), {})) == 2


@pytest.mark.parametrize('alike', ALIKE, ids=['case', 'length', 'space', 'brackets'])
def test_the_stock_scraper_leaves_tags_that_are_one_to_datadog_as_they_are(alike: tuple[str, str]) -> None:
    page = requests_page((alike[0], 1), (alike[1], 1))

    assert len(tags_of(page, {'use_stock_scraper': True})) == 2
