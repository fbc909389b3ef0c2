"""Recognize secrets that nobody told of: by their form, or by where in a text they stand.

What has the form of a key but consists of words and numbers, such as `sk-hynix-production`, is a name. Not recognized
are a key without a name before it whose form is none of those here, and what a value has behind a blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .secrets import decodings, may_be_encoded

__all__ = ['FORMS', 'Form', 'is_name', 'without_secrets', 'without_user_info']

# Stands for a secret, and for an address of which nobody can tell where its secrets end.
UNCLEAR = 'redacted'

# What a host may end, or user-info and a host, before there is another @.
_UNCLEAR = re.compile(r'[^:/?#]*(?:\[[^][]*\])?(?::\d*)?(?:/[^?#]*)?[?#].*@|[^@]*@[^?#]*[?#][^@]*@', re.DOTALL)
_QUERY = re.compile(r'[?#].*', re.DOTALL)
# An address whose @ is no end of user-info, as what is behind is no host: the version of a model, and what it is asked,
# or a model of Cloudflare.
_VERSIONED = re.compile(
    r'(?:[\w.-]+(?::\d+)?(?:/[^:?#@\s]*)?@\d{3,8}(?:-\d{1,3})?'
    r'|[\w-]+(?:\.[\w-]+)+(?::\d+)?/[^:?#@\s]*@(?:default|latest))(?::[a-z]{1,32})?'
    r'|[\w-]+(?:\.[\w-]+)+(?::\d+)?/[^:?#@\s]*/@[ch]f/[\w./-]+',
    re.ASCII | re.IGNORECASE,
)
_USER_INFO = re.compile(r'(?<=://)[^/?#\s]*@')

# All repetitions that may begin at many places of a text are bounded, so that matching takes linear time.
# What a parameter holds: what is in quotes, or all up to a blank or the next one, but no switch and nothing too short.
_NEXT = r'\s?["\']?[\w.-]{1,64}["\']?\s?[=:]'
_VALUE = (
    rf'(?!(?:true|false|none|null|[^\s&#;,"\'\\]{{0,3}})(?:\s|\Z|[&#;,](?:\s|\Z|{_NEXT})))'
    r'(?:"(?:[^"\\]|\\.)*+"?|\'(?:[^\'\\]|\\.)*+\'?|\\+"[^"]*+"?'
    rf'|(?:(?:apikey|basic|bearer|token)\s+)?[^\s&#;,]*(?:[&#;,](?!{_NEXT})[^\s&#;,]*)*)'
)
# By their names, what holds a secret: a parameter of a URL, a header, or anything that ends like `api_key=`,
# `api-key: `, `"api_key":` or `apiKey = `. What ends like `password` needs no more than a colon.
_SECRET_PARAMETER = re.compile(
    r'(?<=[?&#;])[\w.-]{0,64}(?:auth|credential|key|pass|pwd|secret|sig|token)[\w.-]{0,64}='
    + _VALUE
    + r'|(?<![\w.-])(?:[\w-]{0,64}-)?(?:authorization|cookie)["\']?\s?[:=].*'
    r'|(?<![\w.-])(?:[\w.-]{0,64}(?:[_.-]|(?<=[a-z])(?=(?-i:[A-Z]))))?'
    r'(?:credentials?|key|pass|secret|sig|signature|token)(?:\\*["\'])?(?:\s?=>?\s?|\s?:\s|:(?=\\*["\']))'
    + _VALUE
    + r'|(?<![\w.-])[\w.-]{0,64}(?:api[_-]?keys?|passphrase|passw(?:or)?ds?|pwd|secrets?)'
    r'(?:\\*["\'])?\s?(?:=>?|:)\s?' + _VALUE,
    re.IGNORECASE,
)
# By their form: keys that LiteLLM generates are `sk-` and 22 characters, and a JSON Web Token has up to five parts.
_SECRET_FORM = re.compile(
    r'(?<![a-z0-9])(?:sk-[\w-]{16,}|eyJ[\w-]{8,}+(?:\.[\w-]*+){2,4})|(?<=\bbearer[ :=])\s*+[^\s,;"]{8,}'
    r'|(?<=\bbasic )\s*+[a-z0-9+/]{8,}={0,2}',
    re.ASCII | re.IGNORECASE,
)
# A word, several in which each begins with a capital letter, or a number: of a version, a size, a date.
_WORD = re.compile(
    '[A-Z]?[a-z]{1,14}[0-9]{0,4}[a-z]?|(?:[A-Z][a-z]{2,11}){1,3}[A-Z]{0,3}|[A-Z]{1,6}[0-9]{0,4}'
    '|[0-9]{1,8}(?:x[0-9]{1,4})?[a-z]{0,2}',
    re.ASCII,
)
# What LiteLLM generates is 16 random bytes in base64, whose last sign has two bits of them: one in 60,000 looks like
# words.
_GENERATED = re.compile('sk[-_](?=.*[A-Z])(?=.*[a-z])[A-Za-z0-9_-]{21}[AQgw]')
_BETWEEN_WORDS = re.compile(r'[^A-Za-z0-9]+')
_DIGIT = re.compile('[0-9]')
_SAYS_SECRET = re.compile('key|passw|secret|token', re.IGNORECASE)
# A date and a version have so many.
MOST_DIGITS = 10


class Form(NamedTuple):
    """The form of a key: how those of some issuers begin, and an expression for what follows."""

    beginnings: str
    rest: str


_LETTERS = r'(?=[A-Za-z]{0,99}[0-9])[A-Za-z0-9]{20,}'
_WORDS = r'[\w-]{20,}'
_DIGITS = r'[0-9a-f]{32,}'
_UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

# By the forms of those who issue them. Case tells them from words.
FORMS = (
    # Providers of models, gateways to them, and what watches over them.
    Form('ak- ak_ api_org_ as- bfl_ bt-st- cline_ co_ crsr_ csk- esecret_ flp_ fpk_ fw_ gsk_ hf_ jina_ llx-', _LETTERS),
    Form('nscale_ ntn_ pplx- psk- r8_ rpa_ secret_ sess- vck_ xai-', _LETTERS),
    Form('sk_ rk_ pk_ sk_live_ rk_live_ sk_test_ rk_test_ sk_org_live_ sk_prod_', _LETTERS),
    Form('m0- nvapi- pa- pcsk_ tgp_v1_ tvly- wandb_v1_ HRKU-', r'[\w-]{30,}'),
    Form('AQ.', r'[\w-]{30,}'),
    Form('e2b_ fc- glhf_ inference- key- key_ rc_ syn_ lsv2_pt_ lsv2_sk_ cpk_', _DIGITS),
    Form('pk-lf- inf-', _UUID),
    Form('VENICE-INFERENCE-KEY- VENICE-ADMIN-KEY- bedrock-api-key-', r'[\w+/=-]{20,}'),
    # Clouds.
    Form('AKIA ASIA', '[A-Z0-9]{16}(?![A-Za-z0-9])'),
    Form('ABSK', '[A-Za-z0-9+/]{40,}'),
    Form('AKID LTAI', _LETTERS),
    Form('AIza GOCSPX- ya29. AQVN', _WORDS),
    Form('1//0', r'[\w-]{40,}'),
    Form('IQoJb3JpZ2lu', r'[\w+/=]{50,}'),
    Form('dapi dose dkea dop_v1_ doo_v1_ dor_v1_', _DIGITS),
    Form('cfat_ cfut_ cfk_ fo1_ fm2_ HCP. pscale_pw_ pscale_tkn_ pscale_oauth_ sb_secret_', r'[\w-]{20,}'),
    Form('sbp_', _DIGITS),
    # Tools for developers.
    Form(
        'ghp_ gho_ ghu_ ghs_ ghr_ apify_api_ lin_api_ npm_ napi_ ATBB NRAK- NRII- phx_ ddapp_ ddpat_ hcaik_', _LETTERS
    ),
    Form(
        'github_pat_ glagent- glcbt- gldt- glft- glimt- gloas- glpat- glptt- glrt- glsoat- glc_ glsa_', r'[\w=+/-]{20,}'
    ),
    Form('AVNS_ xapp- xoxa- xoxb- xoxc- xoxd- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs-', r'[\w.%-]{16,}'),
    Form('dckr_pat_ dckr_oat_ figd_ hvb. hvr. hvs. CFPAT- CCIPAT_ EZAK pul- shippo_live_ sntrys_ sntryu_', _WORDS),
    Form('ATATT ATCTT pypi- ops_eyJ', r'[\w=-]{50,}'),
    Form('whsec_', r'[\w+/=]{30,}'),
    Form('dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.', r'[\w.]{40,}'),
    Form('shpat_ shpca_ shppa_ shpss_', '[0-9a-fA-F]{32}'),
    Form('bkua_ rubygems_ SK', _DIGITS),
    Form('signkey-prod- signkey-test-', _DIGITS),
    Form('re_', '[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}'),
    Form('SG.', r'[\w-]{16,32}\.[\w-]{16,}'),
    Form('PMAK-', '[0-9a-f-]{50,}'),
    Form('dt0c01. dt0s01. dt0s16.', r'[A-Z0-9]{20,}\.[A-Z0-9]{60,}'),
    Form('AGE-SECRET-KEY-1', '[A-Z0-9]{50,}'),
)
# Those whose mark is not where they begin: of Azure, Entra, Zhipu, Ollama, fal, Airtable and Telegram.
_MARKED_FORM = (
    r'[A-Za-z0-9]{40,60}JQQJ99[A-Za-z0-9]{20,}|[0-9a-f]{32}\.[\w-]{16,}'
    rf'|{_UUID}:[0-9a-f]{{32}}|pat[A-Za-z0-9]{{14}}\.[0-9a-f]{{64}}|\d{{8,10}}:AA[\w-]{{32,}}'
)


def _alternatives() -> Iterator[str]:
    """Yield expressions for all forms, one for each first character: few of them are tried anywhere in a text."""
    by_first: dict[str, list[str]] = {}
    for form in FORMS:
        for beginning in form.beginnings.split():
            by_first.setdefault(beginning[0], []).append(re.escape(beginning[1:]) + form.rest)
    for first, rests in by_first.items():
        yield f'{first}(?:{"|".join(rests)})'


_ISSUED_FORM = re.compile(
    rf'(?<![A-Za-z0-9])(?:{"|".join(_alternatives())}|{_MARKED_FORM})[\w.~=-]*'
    r'|[\w.~-]{3}[0-9]Q~[\w.~-]{30,}|-----BEGIN [A-Z ]{0,32}PRIVATE KEY.*',
    re.ASCII | re.DOTALL,
)
# Without so many signs in a row, nothing has an issuer's form.
_IS_LONG = re.compile(r'[\w.~:/=+%-]{19}|-----BEGIN', re.ASCII)
# Of the letters and digits of a key, no seven in a row are those of a word.
_RANDOM = re.compile(
    r'(?<![A-Za-z0-9])(?=[a-z0-9]{0,40}[A-Z])(?=[A-Z0-9]{0,40}[a-z])(?=[A-Za-z]{0,40}[0-9])'
    r'(?![A-Za-z0-9]{0,80}[a-z]{7})[A-Za-z0-9]{32,}',
    re.ASCII,
)
# Who knows the path of a webhook may use it.
_WEBHOOK = re.compile(
    r'(://(?:[^\s/]{1,128}/){0,4}?(?:[^\s/]{0,64}\.)?(?:web)?hooks?(?:b2|\.[\w.-]{1,64})?/)\S+', re.IGNORECASE
)
# Without `://`, what is before an @ is user-info only if it has a colon, and a host is behind it.
_BARE_USER_INFO = re.compile(
    r'(?<![^\s,;|"\'(/])[^\s:/@?#,;|"\']{1,256}:[^\s@]{1,256}@'
    r'(?=[\w-]{1,64}(?:\.[\w-]{1,64}){0,8}(?:\.[a-z]|:\d|/)|\[)',
    re.ASCII | re.IGNORECASE,
)
# What is shorter than any form, without a sign that ends a name or begins an address, is no secret by form or place,
# nor is a hash of LiteLLM's or a UUID. Where labels are new on each page, most of their values are such.
_IS_PLAIN = re.compile(r'[\w-]{0,18}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}', re.ASCII)
# Of the expressions that take longest, what a text has in lower case if they match: most texts have none of it.
_SAYS_PARAMETER = ('auth', 'cookie', 'credential', 'key', 'pass', 'pwd', 'secret', 'sig', 'token')
_SAYS_FORM = ('sk-', 'eyj', 'bearer', 'basic ')
_SAYS_WEBHOOK = ('hook',)


def is_name(key: str) -> bool:
    """Tell whether what has the form of a key consists of words and numbers, and does not say that it is a secret."""
    has_words = all(_WORD.fullmatch(part) for part in _BETWEEN_WORDS.split(key) if part)
    is_random = len(_DIGIT.findall(key)) > MOST_DIGITS or _GENERATED.fullmatch(key) is not None
    return has_words and not is_random and _SAYS_SECRET.search(key) is None


def without_user_info(text: str) -> str:
    """Return a text without the `user:password@` of URLs in it."""
    return _USER_INFO.sub('', text)


def without_secrets(text: str, *, is_address: bool) -> str:
    """Return a text without the parts of it that may be secrets by their form or place, encoded or not.

    In an address, such as that of a model, these are user-info in any spelling, query and fragment, and what looks
    random. What identifies somebody may look so, may be a URL as well, or hold an `@` for other reasons: of that goes
    user-info as it should be spelt. Of both go keys in the form of LiteLLM's and of well-known issuers, tokens, what
    parameters with names like `key` hold, and what is behind the address of a webhook.
    """
    if _IS_PLAIN.fullmatch(text) is not None:
        return text
    left = _without_secrets(text, is_address)
    # Who encodes a parameter encodes more than its name. What cannot be read until it is decoded is shown so.
    levels = list(decodings(left)) if may_be_encoded(left) else []
    if levels:
        decoded_left = _without_secrets(levels[-1], is_address)
        return left if decoded_left == levels[-1] else decoded_left
    return left


def _without_secrets(text: str, is_address: bool) -> str:
    lowered = text.lower()
    if _has_any(lowered, _SAYS_WEBHOOK):
        text = _WEBHOOK.sub(rf'\1{UNCLEAR}', text)
    if is_address:
        before, mark, address = text.partition('://')
        if mark:
            text = before + mark + _without_user_info_and_query(address)
        elif '@' in text:
            text = _BARE_USER_INFO.sub('', text)
    elif '@' in text:
        text = without_user_info(text)
    if _has_any(lowered, _SAYS_FORM):
        text = _SECRET_FORM.sub(_unless_name, text)
    if _has_any(lowered, _SAYS_PARAMETER):
        text = _SECRET_PARAMETER.sub('', text)
    if _IS_LONG.search(text) is not None:
        text = _ISSUED_FORM.sub(_unless_name, text)
        if is_address:
            text = _RANDOM.sub(UNCLEAR, text)
    return text


def _has_any(text: str, signs: tuple[str, ...]) -> bool:
    for sign in signs:  # noqa: SIM110, `any` takes twice as long
        if sign in text:
            return True
    return False


def _unless_name(key: re.Match[str]) -> str:
    return key[0] if is_name(key[0]) else UNCLEAR


def _without_user_info_and_query(address: str) -> str:
    before_query = _QUERY.sub('', address)
    if _VERSIONED.fullmatch(before_query) and '@' not in address[len(before_query) :]:
        return before_query
    # A password ends at the last @ at the latest. Behind a host, that may also be in the query: then nobody can tell.
    return UNCLEAR if _UNCLEAR.match(address) else _QUERY.sub('', address.rpartition('@')[2])
