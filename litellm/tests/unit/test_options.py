"""The check's own options as its modules see them: typed, and with the defaults of the configuration models."""

from __future__ import annotations

import json
import math
from copy import copy
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.base.errors import ConfigurationError
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.config_models.instance import InstanceConfig
from datadog_checks.litellm.options import _OF_THE_AGENT, _SWITCHES, Options, unknown_options
from tests.support.spec import own_options

NAMES = [option.name for option in fields(Options)]
ENDPOINT = 'http://localhost:4000/metrics/'


def test_each_of_the_checks_own_options_is_read_unless_the_base_package_reads_it_too() -> None:
    assert set(NAMES) == {option['name'] for option in own_options() if 'name' in option} | {
        # The base package's rules for buckets apply, and ours agree with them.
        'collect_histogram_buckets'
    }


def test_without_options_the_defaults_are_those_of_the_models() -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT}])
    check.load_configuration_models()
    model = check._config_model_instance

    expected = {name: getattr(model, name) for name in NAMES}

    assert asdict(Options.of({})) == {**expected, 'exclude_metric_groups': frozenset(), 'keep_labels': frozenset()}


@pytest.mark.parametrize('name', NAMES)
def test_an_option_that_is_left_empty_has_its_default(name: str) -> None:
    assert Options.of({name: None}) == Options()


@pytest.mark.parametrize(
    ('name', 'given', 'value'),
    [
        ('collect_unknown_metrics', 'true', True),
        ('collect_readiness', 'no', False),
        ('max_contexts', '500', 500),
        ('max_page_seconds', 7, 7.0),
        ('exclude_metric_groups', ['mcp', 'media'], frozenset({'mcp', 'media'})),
    ],
)
def test_a_value_has_its_type_in_whatever_way_it_is_written(name: str, given: Any, value: object) -> None:
    assert getattr(Options.of({name: given}), name) == value


@pytest.mark.parametrize(
    'value', [0, -5, math.nan, math.inf, -math.inf, True, '', 'soon', [1], {}, 'nan', 1e400, 1e300]
)
@pytest.mark.parametrize(
    'option',
    [
        *('connect_timeout', 'read_timeout', 'timeout', 'litellm_health_interval', 'litellm_health_timeout'),
        *('max_contexts', 'max_page_bytes', 'max_page_seconds', 'min_collection_interval', 'request_size'),
    ],
)
def test_a_limit_that_is_no_positive_number_is_refused_by_name(option: str, value: Any) -> None:
    given: list[tuple[dict[str, Any], ...]] = [({option: value},), ({}, {option: value})]
    for options in given:
        with pytest.raises(ConfigurationError, match=rf'The setting `{option}` must be a number.* greater than 0'):
            Options.of(*options)


@pytest.mark.parametrize('option', sorted(_SWITCHES))
def test_a_word_that_is_true_to_one_and_false_to_another_is_refused_by_name(option: str) -> None:
    """The models take `t` for true, and what reads the option for false: `exclude_personal_labels: t` was off."""
    values: list[Any] = ['t', 'T', 'maybe', 2, math.nan, ['true'], {}]
    for value in values:
        given: list[tuple[dict[str, Any], ...]] = [({option: value},), ({}, {option: value})]
        for options in given:
            with pytest.raises(ConfigurationError, match=f'The setting `{option}` must be `true` or `false`'):
                Options.of(*options)


def test_what_the_models_take_for_true_or_false_is_that_to_all_who_read_it() -> None:
    for word in (
        'true',
        'True',
        'yes',
        'y',
        'on',
        '1',
        1,
        1.0,
        True,
        'false',
        'NO',
        'n',
        'off',
        'f',
        '0',
        0,
        0.0,
        False,
    ):
        model = InstanceConfig.model_validate(
            {'openmetrics_endpoint': ENDPOINT, 'tls_verify': word}, context={'configured_fields': {'tls_verify'}}
        )

        assert Options.of({'exclude_personal_labels': word}).exclude_personal_labels is model.tls_verify


def test_a_word_for_false_is_false_to_the_base_package_too() -> None:
    """It took any word for true in `use_legacy_auth_encoding`, and sent another password."""
    switches = _SWITCHES - {'process_isolation', 'tls_validate_hostname'}
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, **dict.fromkeys(switches, 'no')}])

    scraper = check.create_scraper(check.instance)

    assert {scraper.config[option] for option in switches} == {False}


def test_an_option_of_the_base_package_without_a_value_is_as_good_as_none() -> None:
    options = {*InstanceConfig.model_fields, *_OF_THE_AGENT} - {'openmetrics_endpoint'}
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, **dict.fromkeys(options)}])

    assert check.instance == {'openmetrics_endpoint': ENDPOINT}


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        ({'tls_validate_hostname': 'false'}, 'tls_validate_hostname'),
        ({'tls_private_key_password': 1234}, 'tls_private_key_password'),
        ({'tls_intermediate_ca_certs': 'x'}, 'tls_intermediate_ca_certs'),
        ({'tls_intermediate_ca_certs': [1]}, 'tls_intermediate_ca_certs'),
        ({'exclude_metrics_by_labels': {'model': []}}, 'exclude_metrics_by_labels'),
        ({'share_labels': {'litellm_x': {'lables': ['model']}}}, 'share_labels'),
        ({'extra_metrics': [{5: 'a'}]}, 'extra_metrics'),
        ({'extra_metrics': ['litellm_x', {'litellm_y': {'tpye': 'gauge'}}]}, 'extra_metrics'),
        ({'auth_token': {'reader': {'pattern': '('}}}, 'auth_token'),
        ({'auth_token': {'reader': {}, 'wirter': {}}}, 'auth_token'),
        ({'auth_token': {'reader': {'type': 'file', 'path': 'a', 'patern': 'b'}, 'writer': {}}}, 'auth_token'),
        ({'auth_token': {'reader': {}, 'writer': {'name': 'a', 'vlaue': 'Bearer <TOKEN>'}}}, 'auth_token'),
        ({'auth_token': {'reader': {}, 'writer': {'name': 'a b'}}}, 'auth_token'),
        ({'auth_token': {'reader': {}, 'writer': {'name': 'a', 'value': 'Bearer <TOKEN>\n'}}}, 'auth_token'),
        ({'auth_token': {'reader': {}, 'writer': {'name': 'a', 'value': '<TOKEN>', 'placeholder': 'k'}}}, 'auth_token'),
        ({'kerberos_cache': 'a\0b'}, 'kerberos_cache'),
        ({'service': 'a\ud800'}, 'service'),
        ({'tags': ['a', 'b\0']}, 'tags'),
        ({'username': 'a'}, 'username'),
        ({'password': 'a'}, 'password'),
        ({'auth_type': 'digest', 'password': 'a'}, 'username'),
        ({'auth_type': 'digest'}, 'username'),
        ({'username': 'a', 'password': '10\u20ac'}, 'password'),
    ],
    ids=str,
)
def test_what_would_be_ignored_or_fail_without_its_name_is_refused_by_it(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f'he settings? .*`{named}`'):
        Options.of(options)


@pytest.mark.parametrize(
    'options',
    [
        {'tls_validate_hostname': False, 'tls_private_key_password': '', 'tls_intermediate_ca_certs': ['x']},
        {'auth_type': 'ntlm', 'password': 'a'}, {'ntlm_domain': 'a', 'password': 'a'}, {'kerberos_auth': 'required'},
        {'username': '', 'password': ''}, {'username': 'ä', 'password': 'ö'},
        {'username': 'a', 'password': '10\u20ac', 'use_legacy_auth_encoding': False},
        {'auth_type': 'digest', 'username': 'a', 'password': '10\u20ac'},
        {'share_labels': {'a': True, 'b': {}, 'c': {'match': ['x'], 'labels': ['y'], 'values': [1]}}},
        {'auth_token': {'reader': {'type': 'file', 'path': 'a'}, 'writer': {'type': 'header', 'name': 'a'}}},
    ],
    ids=str,
)  # fmt: skip
def test_what_looks_like_it_and_works_is_accepted(options: dict[str, Any]) -> None:
    Options.of(options)


@pytest.mark.parametrize('depth', [11, 900])
@pytest.mark.parametrize('option', ['tags', 'debug_metrics', 'extra_headers'])
@pytest.mark.parametrize('is_shared', [False, True], ids=['instance', 'init_config'])
def test_an_option_that_is_nested_too_deep_is_refused_by_name(option: str, depth: int, is_shared: bool) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    instance = {'openmetrics_endpoint': ENDPOINT}
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` contains itself, or is nested too deep'):
        LitellmCheck(
            'litellm', {option: value} if is_shared else {}, [{**instance, **({} if is_shared else {option: value})}]
        )


@pytest.mark.parametrize('value', ['nope', '', 'basic ', 'b\na', '%%host%%'])
def test_a_kind_of_authentication_that_nobody_knows_is_refused_by_name(value: str) -> None:
    with pytest.raises(ConfigurationError, match='The setting `auth_type` must be one of: basic, '):
        Options.of({'auth_type': value})


@pytest.mark.parametrize('value', ['basic', 'Digest', 'NTLM', 'kerberos', 'aws', None])
def test_the_kinds_of_authentication_of_the_base_package_are_accepted(value: str | None) -> None:
    Options.of({'auth_type': value, 'username': 'a', 'password': 'b'})


@pytest.mark.parametrize('value', [{'includes': ['a']}, {'include': ['a'], 'x': []}, {1: ['a']}], ids=str)
def test_metric_patterns_are_to_include_or_to_exclude(value: Any) -> None:
    with pytest.raises(ConfigurationError, match='The setting `metric_patterns` may have only `include` and `exclude`'):
        Options.of({'metric_patterns': value})


def test_a_protocol_that_nobody_speaks_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r'The setting `tls_protocols_allowed` may have only: .*TLSv1\.3'):
        Options.of({'tls_protocols_allowed': ['TLSv1.2', 'TLSv9']})


@pytest.mark.parametrize(
    'value',
    [
        {'htps': 'http://proxy'}, {'HTTP': 'http://proxy'}, {'all': 'http://proxy'}, {1: 2}, {'http': 7},
        {'http': ['http://proxy']}, {'https': 'http://'}, {'http': 'http://proxy:port'}, {'http': 'ftp://proxy'},
        {'http': 'http://[proxy'}, {'https': 'http://proxy:0'}, {'https': 'http://proxy:99999'},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize('is_shared', [False, True], ids=['instance', 'init_config'])
def test_a_forward_proxy_that_no_request_would_go_through_is_refused_by_name(value: Any, is_shared: bool) -> None:
    options = {'proxy': value}
    with pytest.raises(ConfigurationError, match='he setting `proxy` m') as refused:
        Options.of(*(({}, options) if is_shared else (options,)))

    assert 'proxy:' not in str(refused.value)


@pytest.mark.parametrize(
    'value',
    [
        None, {}, {'http': '', 'https': None}, {'http': 'http://proxy:3128', 'https': 'http://me:p%40ss@proxy'},
        {'http': 'proxy:3128', 'no_proxy': ['a', 'b']}, {'https': 'socks5h://proxy:1080'},
    ],
    ids=str,
)  # fmt: skip
def test_forward_proxies_that_requests_go_through_are_accepted(value: Any) -> None:
    Options.of({'proxy': value})


@pytest.mark.parametrize('value', [['nope'], ['TLS_AES_128_GCM_SHA256'], [''], 'nope', [1], ['a\0b']], ids=str)
def test_ciphers_that_nobody_knows_are_refused_by_name(value: Any) -> None:
    """The base package refuses them in each run, as if the proxy could not be reached."""
    with pytest.raises(ConfigurationError, match='The setting `tls_ciphers` must have the name of a cipher'):
        Options.of({'tls_ciphers': value})


@pytest.mark.parametrize(
    'value', [None, [], ['ALL'], ['nope', 'ALL'], ['ECDHE-RSA-AES128-GCM-SHA256', 'nope']], ids=str
)
def test_ciphers_of_which_one_is_known_are_accepted(value: Any) -> None:
    Options.of({'tls_ciphers': value})


@pytest.mark.parametrize('option', ['debug_metrics', 'max_returned_metrics'])
@pytest.mark.parametrize('value', [math.inf, True, False, 'nope', ['x'], -1, 1e400], ids=str)
@pytest.mark.parametrize('is_shared', [False, True], ids=['instance', 'init_config'])
def test_what_the_base_package_trips_over_as_it_makes_a_check_is_refused_by_name(
    option: str, value: Any, is_shared: bool
) -> None:
    instance = {'openmetrics_endpoint': ENDPOINT}
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` must be a'):
        LitellmCheck(
            'litellm', {option: value} if is_shared else {}, [instance if is_shared else {**instance, option: value}]
        )


@pytest.mark.parametrize(
    ('shared', 'instance', 'sentence'),
    [
        ({}, {'exclude_personal_label': True}, '`exclude_personal_label` is not an option of this check; did you mean '
         '`exclude_personal_labels`?'),
        ({}, {'extra_header': {}}, '`extra_header` is not an option of this check; did you mean `extra_headers`?'),
        ({'exclude_personal_labels': True}, {}, '`exclude_personal_labels` is not an option of `init_config`: move it '
         'into the instance'),
        ({}, {'use_agent_proxy': False}, '`use_agent_proxy` is not an option of an instance: move it '
         'into `init_config`'),
        ({}, {'TLS_VERIFY': False}, '`TLS_VERIFY` is not an option of this check; did you mean `tls_verify`?'),
        ({'timout': 3}, {}, '`timout` is not an option of this check; did you mean `timeout`?'),
    ],
)  # fmt: skip
def test_an_option_that_nobody_reads_is_told_on_the_status_page(
    shared: dict[str, Any], instance: dict[str, Any], sentence: str
) -> None:
    """Warn in each run, as what the option is to keep from leaving the host leaves."""
    check = LitellmCheck('litellm', shared, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', **instance}])
    for _ in range(2):
        check.run()
        assert sentence in check.get_warnings()


@pytest.mark.parametrize('option', ['timeout', 'proxy', 'skip_proxy', 'service', 'debug_metrics'])
def test_an_option_for_all_instances_without_a_value_is_as_good_as_none(option: str) -> None:
    check = LitellmCheck('litellm', {option: None}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/'}])

    assert 'connect' in check.run()


def test_what_the_agent_reads_or_adds_is_no_mistake() -> None:
    shared = {'min_collection_interval': 15, 'service': 'a', 'use_agent_proxy': True, 'log_requests': False}
    # What `agent check` adds.
    shared |= {'profile_memory': '/a', 'profile_memory_frames': '100', 'profile_memory_unit': 'b', 'set_breakpoint': 9}
    own = {
        'tls_private_key_password': 'x',
        'name': 'x',
        'no_proxy': True,
        'empty_default_hostname': True,
        'loader': 'x',
        'process_isolation_timeout': 60,
    }

    assert list(unknown_options(shared, own)) == []
    assert [one.advice for one in unknown_options({}, {'frobnicate': 1})] == ['']


class Asked(dict[str, Any]):
    """A mapping that takes note of the keys that it is asked for, and so do its copies."""

    def __init__(self, content: dict[str, Any], keys: set[str]) -> None:
        super().__init__(content)
        self.keys_asked_for = keys

    def get(self, key: str, default: Any = None) -> Any:
        self.keys_asked_for.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.keys_asked_for.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.keys_asked_for.add(str(key))
        return super().__contains__(key)

    def __copy__(self) -> Asked:
        return Asked(dict(self), self.keys_asked_for)

    def __deepcopy__(self, _: object) -> Asked:
        return copy(self)


def test_each_option_that_the_base_package_asks_for_is_known() -> None:
    """A newer one may have others, which nobody is to be told are no options."""
    shared, own = Asked({}, set()), Asked({'openmetrics_endpoint': 'https://127.0.0.1:9/', 'metrics': ['a']}, set())
    assert 'refused' in OpenMetricsBaseCheckV2('openmetrics', shared, [own]).run()

    assert {'log_requests', 'timeout', 'use_agent_proxy'} <= shared.keys_asked_for
    assert {'exclude_labels', 'max_returned_metrics', 'share_labels', 'tls_verify', 'username'} <= own.keys_asked_for
    given = dict.fromkeys(shared.keys_asked_for), dict.fromkeys(own.keys_asked_for)
    assert list(unknown_options(*given)) == []


HTTPS = {'openmetrics_endpoint': 'https://localhost:4000/metrics/'}


@pytest.mark.parametrize('option', ['tls_cert', 'tls_private_key', 'tls_ca_cert'])
@pytest.mark.parametrize('path', ['/no/such/file', '-----BEGIN PRIVATE KEY-----\nx', 'a\0b', 'x' * 5000])
def test_a_file_that_cannot_be_read_is_refused_by_name_and_its_path_is_not_repeated(option: str, path: str) -> None:
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` must be the path of a file') as refused:
        Options.of({**HTTPS, option: path})

    assert path not in str(refused.value)


def test_a_folder_is_no_certificate_but_may_hold_those_of_authorities(tmp_path: Path) -> None:
    Options.of({**HTTPS, 'tls_ca_cert': str(tmp_path)})
    with pytest.raises(ConfigurationError, match='The setting `tls_cert` must be the path of a file'):
        Options.of({**HTTPS, 'tls_cert': str(tmp_path)})


def test_a_certificate_of_an_authority_that_no_url_needs_may_be_missing() -> None:
    Options.of({'openmetrics_endpoint': ENDPOINT, 'tls_ca_cert': '/no/such/file'})


@pytest.mark.parametrize(
    'options',
    [
        {'extra_headers': {'Authorization': 'Bearer ENC[litellm]'}},
        {'password': 'ENC[a]'},
        {'tags': ['a', 'ENC[b]']},
        {'proxy': {'http': 'http://ENC[c]@proxy'}},
    ],
    ids=str,
)
@pytest.mark.parametrize('shared', [False, True], ids=['instance', 'init_config'])
def test_a_secret_that_the_agent_has_not_decrypted_is_refused_by_name(options: dict[str, Any], shared: bool) -> None:
    instance = {'openmetrics_endpoint': ENDPOINT}
    check = LitellmCheck('litellm', options if shared else {}, [instance if shared else {**instance, **options}])

    assert f'The setting `{next(iter(options))}` contains `ENC[...]`, which the Agent has not decrypted' in check.run()


def itself(kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
    """Return a collection that contains itself, as a YAML alias inside its anchor makes one."""
    one = kind()
    one.append(one) if isinstance(one, list) else one.update(a=one)
    return one


# What people, templates and generators write into an option by mistake.
MISTAKES = {
    'null': None, 'NaN': math.nan, 'negative': -1, 'zero': 0, 'infinite': math.inf, 'a word': 'nope', 'nothing': '',
    'two lines': 'a\nb', 'a list': ['x'], 'a list of numbers': [1], 'a list of nulls': [None], 'a mapping': {'x': 'y'},
    'a number as a name': {1: 2}, 'a list in itself': itself(list), 'a mapping in itself': itself(dict),
    'a list of lists': [[[['x']]]], 'NUL': 'a\0b', 't': 't', 'no pattern': ['('], 'a variable': '%%host%%',
    'a variable of the environment': '%%env_KEY%%', 'a handle': 'ENC[x]',
    'a file': '/no/such/file',
}  # fmt: skip


# What the base package reads besides those of the models, in each run or each request.
BESIDE_MODELS = ('kerberos', 'no_proxy', 'target_info', *(one for one in _OF_THE_AGENT if one.startswith('tls_')))


@pytest.mark.parametrize('option', sorted({*InstanceConfig.model_fields, *BESIDE_MODELS}))
def test_whatever_stands_in_an_option_its_error_names_it(option: str) -> None:
    """Recognize a value that is accepted by the failed connection, as nothing listens there."""
    for mistake, value in MISTAKES.items():
        # Contexts of TLS are made for this alone, and without the certificates of all authorities.
        tls = {'openmetrics_endpoint': 'https://127.0.0.1:9/metrics/', 'tls_verify': False}
        instance = tls if option.startswith('tls_') else {'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/'}
        instance = {**instance, 'collect_readiness': False, option: value}
        try:
            error = LitellmCheck('litellm', {}, [instance]).run()
        except ConfigurationError as refused:
            error = json.dumps([{'message': str(refused)}])
        message = json.loads(error)[0]['message'] if error else 'cannot connect, which is ignored'
        is_named = option in message.replace('openmetrics_endpoint', '') or option == 'openmetrics_endpoint'
        # The Agent bundles it.
        lacks_library = 'requests_ntlm' in message or 'requests_kerberos' in message
        assert 'connect' in message or is_named or lacks_library, f'{mistake}: {message}'


@pytest.mark.parametrize('option', ['headers', 'extra_headers'])
@pytest.mark.parametrize(
    'headers',
    [{1: 'x'}, {None: 'x'}, {'': 'x'}, {'a b': 'x'}, {'a:': 'x'}, {'a\n': 'x'}, {'ä': 'x'}, {'a': None}, {'a': ['x']},
     {'a': True}, {'a': {}}, ['a'], 'a: b', 7, {'a': 'x\n'}, {'a': 'x\r\ny: z'}, {'a': 'x\0'}, {'a': ' x'},
     {'a': 'x\u2013'}, {'a': b'x\n'}, {'a': 'x\x7f'}],
)  # fmt: skip
def test_headers_that_are_none_are_refused_by_name(option: str, headers: Any) -> None:
    with pytest.raises(ConfigurationError, match=f'the setting `{option}`|The setting `{option}`'):
        Options.of({option: headers})


@pytest.mark.parametrize(
    ('option', 'value', 'named'),
    [
        ('openmetrics_endpoint', 'http://%%host%%:4000/metrics/', '%%host%%'),
        ('openmetrics_endpoint', 'http://a:%%port_http%%/metrics/', '%%port_http%%'),
        ('litellm_health_endpoint', 'http://%%host_bridge%%/health', '%%host_bridge%%'),
        ('extra_headers', {'Authorization': 'Bearer %%env_LITELLM_KEY%%'}, '%%env_LITELLM_KEY%%'),
        ('tags', ['pod:%%kube_pod_name%%'], '%%kube_pod_name%%'),
        ('service', '%%env_DD_SERVICE%%', '%%env_DD_SERVICE%%'),
        ('service', 'a-%%host_my-app.net%%', '%%host_my-app.net%%'),
        ('openmetrics_endpoint', 'http://%%host%%:%%port_http-metrics%%/metrics/', '%%host%%'),
        ('litellm_health_endpoint', 'http://a:%%port_http-metrics%%/health', '%%port_http-metrics%%'),
        ('proxy', {'http': 'http://%%host%%:3128'}, '%%host%%'),
        ('tls_ca_cert', '%%env_CA%%', '%%env_CA%%'),
    ],
)
def test_a_variable_that_nobody_replaced_is_named(option: str, value: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` contains `{named}`'):
        Options.of({option: value})


def test_signs_of_percent_that_are_no_variable_are_left_alone() -> None:
    Options.of({'openmetrics_endpoint': 'http://a/metrics/?x=%25%25', 'tags': ['a:100%%', 'b:%%'], 'timeout': '5'})


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('raw_line_filters', ['(']),
        ('raw_line_filters', ['(', ')']),
        ('exclude_metrics', ['litellm_(']),
        ('exclude_metrics_by_labels', {'model': ['*']}),
        ('extra_metrics', [{'litellm_[': 'x'}]),
        ('extra_metrics', ['litellm_(?P<n>']),
        ('metrics', [{'a{1': 'x', 'b**': 'y'}]),
        ('metric_patterns', {'include': ['+']}),
        ('metric_patterns', {'exclude': ['a', '(?z)']}),
        ('ignore_tags', ['[']),
    ],
    ids=str,
)
def test_a_regular_expression_that_is_none_is_refused_at_the_start_by_name(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` has an invalid regular expression'):
        LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, option: value}])


@pytest.mark.parametrize(
    'metric',
    [
        {
            'type': 'metadata',
            'label': 'v',
            'name': 'version',
            'scheme': 'regex',
            'pattern': 'v(.+)',
            'final_scheme': 'x',
        },
        {'type': 'metadata', 'label': 'v', 'name': 'version', 'scheme': 'parts', 'part_map': {'major': '1'}},
        {'type': 'service_check', 'status_map': {'1': 'ok'}},
        {'type': 'temporal_percent', 'scale': 'second'},
    ],
    ids=lambda metric: f'{metric["type"]}, {list(metric)[-1]}',
)
def test_a_metric_may_have_all_that_the_base_package_reads(metric: dict[str, Any]) -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, 'extra_metrics': [{'litellm_x': metric}]}])

    check.configure_scrapers()


@pytest.mark.parametrize('option', ['extra_metrics', 'metrics'])
@pytest.mark.parametrize(
    'metric',
    [{'litellm_x': {'type': 'conter'}}, {'litellm_.+': {'type': 'conter'}}, {'litellm_x': {'type': 'service_check'}}],
    ids=str,
)
def test_a_metric_that_the_base_package_cannot_submit_is_refused_with_its_option(option: str, metric: Any) -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, option: [metric]}])

    with pytest.raises(ConfigurationError, match=f'The setting `{option}` cannot be used'):
        check.configure_scrapers()


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('raw_line_filters', ['']),
        ('ignore_tags', ['a', '']),
        ('exclude_metrics_by_labels', {'model': ['']}),
        ('extra_metrics', [{'': 'x'}]),
        ('metric_patterns', {'exclude': ['']}),
    ],
    ids=str,
)
def test_an_empty_regular_expression_which_matches_anything_is_refused_by_name(option: str, value: Any) -> None:
    """Such as that of a template whose variable is empty: the page, or all tags, would be gone without a word."""
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` has an empty regular expression'):
        LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, option: value}])


def test_regular_expressions_that_are_such_are_accepted() -> None:
    options = {
        'raw_line_filters': ['^x{1,2}', 'b'],
        'exclude_metrics_by_labels': {'team': True, 'model': ['a.*']},
        'extra_metrics': ['a.+', {'b': 'c', 'd': {'name': 'e'}}],
        'metric_patterns': {'include': ['a'], 'exclude': []},
    }
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, **options}])

    check.configure_scrapers()
