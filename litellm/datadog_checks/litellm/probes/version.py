"""Find out which release of LiteLLM a proxy runs, for the Agent's metadata."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from functools import partial

from requests.exceptions import RequestException

from ..scrapers.base import LitellmScraper
from ..transport.background_call import BackgroundCall
from ..transport.client import Client
from ..transport.urls import Address

__all__ = ['VersionProbe', 'find_version', 'version_in_openapi']

# The version is queried when the proxy is ready again, and this often, as a restart may go unnoticed.
SECONDS_BETWEEN_QUERIES = 6 * 3600.0

# For one endpoint. LiteLLM 1.109.1 took 17 seconds to render its OpenAPI document on a busy machine.
ANSWER_SECONDS = 30.0

# How long the run that asks waits for the answer. A later run takes it if it comes later.
PATIENCE_SECONDS = 2.0

# The details contain lists of names. Of the OpenAPI document, which has 2 MB, only the beginning is read.
MAX_BODY_BYTES = 1 << 16

# Releases before 1.84 include their version in the readiness. Since 1.75 the first of these tells it to anyone. The
# second needs a key, and without one LiteLLM would count a refused request.
MODEL_HUB = '/public/model_hub/info'
DETAILS = '/health/readiness/details'
# For proxies that hide the others. LiteLLM renders it on the first request, and some releases block meanwhile.
OPENAPI = '/openapi.json'

# 1.106.2, 1.72.6.post2, 1.80.0.rc.1, 1.81.0-nightly. Nothing else is submitted.
VERSION = re.compile(
    r'v?(?P<major>\d{1,9})\.(?P<minor>\d{1,9})\.(?P<patch>\d{1,9})'
    r'(?:[.-]?(?P<release>[0-9A-Za-z][0-9A-Za-z.-]{0,40}))?(?:\+(?P<build>[0-9A-Za-z.-]{1,40}))?',
    re.ASCII,
)

_INFO = re.compile(r'"info"\s*:\s*(?=\{)')


def find_version(client: Client, root: str) -> str | None:
    """Query the version of a proxy whose readiness does not have it. Raises a `RequestException`."""
    for path in (MODEL_HUB, DETAILS) if client.sends_credentials else (MODEL_HUB,):
        with suppress(RequestException, ValueError):
            body = client.ask(root + path, ANSWER_SECONDS, MAX_BODY_BYTES).json()
            if isinstance(body, dict) and isinstance(body.get('litellm_version'), str):
                return str(body['litellm_version'])
    answer = client.ask(root + OPENAPI, ANSWER_SECONDS, MAX_BODY_BYTES)
    return version_in_openapi(answer.body) if answer.status == 200 else None


def version_in_openapi(beginning: bytes) -> str | None:
    """Return `info.version` of an OpenAPI document, given its beginning."""
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
    """Submit the version of a proxy to the Agent each time it is learned."""

    def __init__(self, scraper: LitellmScraper, address: Address, root: str) -> None:
        self._check = scraper.check
        client = scraper.client_of(address)
        self._call = BackgroundCall(partial(find_version, client, root), 3 * ANSWER_SECONDS)
        self._asked_at: float | None = None

    def run(self, is_ready: bool, version: str | None) -> None:
        """Submit the version from a readiness, or else query it from time to time. Raises nothing."""
        if not self._check.is_metadata_collection_enabled():
            return
        now = time.monotonic()
        if not is_ready:
            # What comes back may be another release.
            self._asked_at = None
        elif version is not None:
            self._submit(version)
        else:
            if self._asked_at is None or now - self._asked_at > SECONDS_BETWEEN_QUERIES:
                self._asked_at = now
                self._call.start()
            self._take_answer(PATIENCE_SECONDS if now == self._asked_at else 0.0)

    def _take_answer(self, patience: float) -> None:
        try:
            version = self._call.result(patience)
        except Exception as error:  # noqa: BLE001, whatever it is must not cost the run
            self._check.log.debug('The proxy did not report its version: %s', type(error).__name__)
            return
        if version is not None:
            self._submit(version)

    def _submit(self, version: str) -> None:
        if VERSION.fullmatch(version):
            self._check.set_metadata('version', version, scheme='regex', final_scheme='semver', pattern=VERSION)
