"""Recognize secrets that nobody told of: by their form, or by where in a text they stand.

Not recognized is a key without a name before it whose form is none of those here.
"""

from __future__ import annotations

import re

from .secrets import decoded

__all__ = ['without_secrets', 'without_user_info']

# Stands for a secret, and for an address of which nobody can tell where its secrets end.
UNCLEAR = 'redacted'

_UNCLEAR = re.compile(r'[^:/?#]*(?:\[[^][]*\])?(?::\d*)?(?:/[^?#]*)?[?#].*@', re.DOTALL)
_QUERY = re.compile(r'[?#].*', re.DOTALL)
# An address whose @ is no end of user-info, as what is behind is no host: the version of a model, and what it is asked.
_VERSIONED = re.compile(
    r'(?:[\w.-]+(?::\d+)?(?:/[^:?#@\s]*)?@\d{3,8}(?:-\d{1,3})?'
    r'|[\w-]+(?:\.[\w-]+)+(?::\d+)?/[^:?#@\s]*@(?:default|latest))(?::[a-z]{1,32})?',
    re.ASCII | re.IGNORECASE,
)
_USER_INFO = re.compile(r'(?<=://)[^/?#\s]*@')

# All repetitions that may begin at many places of a text are bounded, so that matching takes linear time.
# By their names, what holds a secret: a parameter, or anything that ends like `api_key=`, `api-key: ` or `"api_key":"`.
_SECRET_PARAMETER = re.compile(
    r'(?<=[?&#;])[\w.-]{0,64}(?:auth|key|pass|secret|sig|token)[\w.-]{0,64}=[^&#;\s]*'
    r'|(?<![\w.-])(?:[\w.-]{0,64}[_.-])?(?:key|pass|passw(?:or)?d|secret|sig|signature|token)'
    r'(?:=|["\']?\s?:\s["\']?|["\']:["\'])[^&#;,\s]*',
    re.IGNORECASE,
)
# By their form: keys that LiteLLM generates are `sk-` and 22 characters, and a JSON Web Token has three parts.
_SECRET_FORM = re.compile(
    r'\bsk-[\w-]{16,}|(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+|(?<=\bbearer )\s*+[^\s,;"]{8,}'
    r'|(?<=\bbasic )\s*+(?=[a-z+/]{0,64}[0-9=])[a-z0-9+/]{8,}={0,2}',
    re.ASCII | re.IGNORECASE,
)
# By the forms of those who issue them, as far as nothing else begins so: clouds, providers of models, and of tools for
# developers. Case tells them from words.
_ISSUED_FORM = re.compile(
    r'(?<![A-Za-z0-9])(?:1//0[\w-]{40,}|A(?:KI|SI)A[A-Z0-9]{16}(?![A-Za-z0-9])|ABSK[A-Za-z0-9+/]{40,}'
    r'|AGE-SECRET-KEY-1[A-Z0-9]{50,}|AIza[\w-]{35,}|ATATT[\w=-]{50,}|GOCSPX-[\w-]{20,}|IQoJb3JpZ2lu[\w+/=]{50,}'
    r'|NRAK-[A-Z0-9]{20,}|PMAK-[0-9a-f-]{50,}|SG\.[\w-]{16,32}\.[\w-]{16,}|SK[0-9a-f]{32}'
    r'|bedrock-api-key-[\w+/=-]{40,}|csk-[A-Za-z0-9]{40,}|dapi[0-9a-f]{32}|dckr_pat_[\w-]{20,}'
    r'|dd(?:app|pat)_[A-Za-z0-9]{30,}|do[opr]_v1_[0-9a-f]{40,}|dp\.[a-z]{2,3}\.[A-Za-z0-9]{40,}|e2b_[0-9a-f]{40}'
    r'|fc-[0-9a-f]{32}|figd_[\w-]{40,}|fw_[A-Za-z0-9]{22,}|gh[oprsu]_[A-Za-z0-9]{36,}|github_pat_\w{22,}'
    r'|gl(?:cbt|dt|ft|imt|pat|ptt|rt|soat)-[\w-]{20,}|gl(?:c|sa)_[\w+/=]{30,}|gsk_[A-Za-z0-9]{40,}|hf_[A-Za-z0-9]{30,}'
    r'|hv[bs]\.[\w-]{20,}|jina_[A-Za-z0-9]{40,}|key-[0-9a-f]{32}|lin_api_[A-Za-z0-9]{30,}|lsv2_[a-z]{2}_[0-9a-f]{32}\w*'
    r'|npm_[A-Za-z0-9]{36,}|ntn_[A-Za-z0-9]{40,}|nvapi-[\w-]{50,}|pk-lf-[0-9a-f]{8}-[0-9a-f-]{27}|pplx-[A-Za-z0-9]{40,}'
    r'|pypi-[\w-]{50,}|r8_[A-Za-z0-9]{37,}|[rs]k_(?:live|test)_[A-Za-z0-9]{20,}|sb_secret_[\w-]{20,}|sbp_[0-9a-f]{40}'
    r'|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|tgp_v1_[\w-]{30,}|tvly-[\w-]{30,}|wandb_v1_\w{40,}|whsec_[A-Za-z0-9+/=]{30,}'
    r'|xai-[A-Za-z0-9]{60,}|xapp-[\w-]{30,}|xox[abeoprs]-[\w-]{16,}|ya29\.[\w-]{16,})'
    r'|(?<=hooks\.slack\.com/)\S+|(?<=discord\.com/api/webhooks/)\S+|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----.*',
    re.ASCII | re.DOTALL,
)
# Without `://`, what is before an @ is user-info only if it has a colon, and a host is behind it.
_BARE_USER_INFO = re.compile(
    r'(?<![^\s,;|"\'(/])[^\s:/@?#,;|"\']{1,256}:[^\s@]{1,256}@'
    r'(?=[\w-]{1,64}(?:\.[\w-]{1,64}){0,8}(?:\.[a-z]|:\d|/)|\[)',
    re.ASCII | re.IGNORECASE,
)
# Without any of these, only what has an issuer's form may be a secret in a text: most have none.
_MAY_HAVE_SECRET = re.compile(r'[=%@?#]|:\s|[\'"]:|sk-|eyj|bearer|basic ', re.IGNORECASE)


def without_user_info(text: str) -> str:
    """Return a text without the `user:password@` of URLs in it."""
    return _USER_INFO.sub('', text)


def without_secrets(text: str, *, is_address: bool) -> str:
    """Return a text without the parts of it that may be secrets by their form or place, percent-encoded or not.

    In an address, such as that of a model, these are user-info in any spelling, query and fragment. What identifies
    somebody may be a URL as well, or hold an `@` for other reasons: of that goes user-info as it should be spelt. Of
    both go keys in the form of LiteLLM's and of well-known issuers, tokens, and what parameters with names like `key`
    hold.
    """
    if _MAY_HAVE_SECRET.search(text) is None:
        return _ISSUED_FORM.sub(UNCLEAR, text)
    left = _without_secrets(text, is_address)
    if '%' in left:
        # Who encodes a parameter encodes more than its name. What cannot be read until it is decoded is shown so.
        plain = decoded(left)
        decoded_left = _without_secrets(plain, is_address)
        return left if decoded_left == plain else decoded_left
    return left


def _without_secrets(text: str, is_address: bool) -> str:
    before, mark, address = text.partition('://')
    if mark and is_address:
        text = before + mark + _without_user_info_and_query(address)
    elif is_address:
        text = _BARE_USER_INFO.sub('', text)
    else:
        text = without_user_info(text)
    return _ISSUED_FORM.sub(UNCLEAR, _SECRET_FORM.sub(UNCLEAR, _SECRET_PARAMETER.sub('', text)))


def _without_user_info_and_query(address: str) -> str:
    before_query = _QUERY.sub('', address)
    if _VERSIONED.fullmatch(before_query) and '@' not in address[len(before_query) :]:
        return before_query
    # A password ends at the last @ at the latest. Behind a host, that may also be in the query: then nobody can tell.
    return UNCLEAR if _UNCLEAR.match(address) else _QUERY.sub('', address.rpartition('@')[2])
