"""Which release of LiteLLM a proxy runs, for the Agent's metadata."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from functools import partial

from requests.exceptions import RequestException

from .addresses import Address
from .question import Question
from .requesting import Client
from .scraper import LitellmScraper

__all__ = ['VersionProbe', 'find_version', 'version_in_openapi']

# The version is asked for when the proxy comes back after it did not answer, and this often, as a restart may be quick.
SECONDS_BETWEEN_QUESTIONS = 6 * 3600.0

# Of one endpoint. Making its OpenAPI document took LiteLLM 1.109.1 17 seconds on a busy machine.
ANSWER_SECONDS = 30.0

# So long the run that asks waits for the answer; a later one takes it otherwise.
PATIENCE_SECONDS = 2.0

# The details hold lists of names. Of the OpenAPI document, which has 2 MB, only the beginning is read.
MAX_BODY_BYTES = 1 << 16

# Releases before 1.84 tell their version with the readiness. Since 1.75 all that ask are told at the first of these;
# the second asks for a key, and without one would count as a refused request.
MODEL_HUB = '/public/model_hub/info'
DETAILS = '/health/readiness/details'
# Left for who hides the others. LiteLLM makes it when it is asked for it first, and some releases do nothing else then.
OPENAPI = '/openapi.json'

# 1.106.2, 1.72.6.post2, 1.80.0.rc.1, 1.81.0-nightly. Nothing else is passed on.
VERSION = re.compile(
    r'v?(?P<major>\d{1,9})\.(?P<minor>\d{1,9})\.(?P<patch>\d{1,9})'
    r'(?:[.-]?(?P<release>[0-9A-Za-z][0-9A-Za-z.-]{0,40}))?(?:\+(?P<build>[0-9A-Za-z.-]{1,40}))?',
    re.ASCII,
)

_INFO = re.compile(r'"info"\s*:\s*(?=\{)')


def find_version(client: Client, root: str) -> str | None:
    """Ask a proxy that does not tell its version with its readiness. Raises a `RequestException`."""
    for path in (MODEL_HUB, DETAILS) if client.sends_credentials else (MODEL_HUB,):
        with suppress(RequestException, ValueError):
            told = client.ask(root + path, ANSWER_SECONDS, MAX_BODY_BYTES).json()
            if isinstance(told, dict) and isinstance(told.get('litellm_version'), str):
                return str(told['litellm_version'])
    answer = client.ask(root + OPENAPI, ANSWER_SECONDS, MAX_BODY_BYTES)
    return version_in_openapi(answer.body) if answer.status == 200 else None


def version_in_openapi(beginning: bytes) -> str | None:
    """Return `info.version` of an OpenAPI document that begins like this."""
    text = beginning.decode('utf-8', 'replace')
    found = _INFO.search(text)
    if found is None:
        return None
    try:
        info, _ = json.JSONDecoder().raw_decode(text, found.end())
    except (ValueError, RecursionError):
        return None
    version = info.get('version')
    return version if isinstance(version, str) else None


class VersionProbe:
    """Tell the Agent the version of a proxy whenever it is learned anew."""

    def __init__(self, scraper: LitellmScraper, address: Address, root: str) -> None:
        self._check = scraper.check
        client = scraper.client_of(address)
        self._question = Question(partial(find_version, client, root), 3 * ANSWER_SECONDS)
        self._asked_at: float | None = None

    def run(self, is_ready: bool, version: str | None) -> None:
        """Pass on the version that a readiness told, or ask for it now and then. Raises nothing."""
        if not self._check.is_metadata_collection_enabled():
            return
        now = time.monotonic()
        if not is_ready:
            # What comes back may be another release.
            self._asked_at = None
        elif version is not None:
            self._submit(version)
        else:
            if self._asked_at is None or now - self._asked_at > SECONDS_BETWEEN_QUESTIONS:
                self._asked_at = now
                self._question.put()
            self._take_answer(PATIENCE_SECONDS if now == self._asked_at else 0.0)

    def _take_answer(self, patience: float) -> None:
        try:
            version = self._question.answer(patience)
        except Exception as error:  # noqa: BLE001, whatever it is must not cost the run
            self._check.log.debug('The proxy did not report its version: %s', type(error).__name__)
            return
        if version is not None:
            self._submit(version)

    def _submit(self, version: str) -> None:
        if VERSION.fullmatch(version):
            self._check.set_metadata('version', version, scheme='regex', final_scheme='semver', pattern=VERSION)
