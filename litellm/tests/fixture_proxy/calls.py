"""One request through the proxy: what was asked, what happened on the way, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .accounts import Caller
from .catalogue import Deployment, Guardrail, UpstreamError

__all__ = ['Answer', 'Attempt', 'Call', 'Failure', 'Fallback', 'GuardrailRun', 'Outcome', 'Timings', 'Usage']


@dataclass(frozen=True)
class Call:
    """A client's call: who asks, by which route, and for what.

    `digest` tells equal requests from others. `amount` is texts to embed, images or seconds of video. `fail_status` is
    the status that the client wants the requested group's deployments to fail with. `passed_to` is what is called for
    a request in the form of a provider's own API, which is passed through to that.
    """

    caller: Caller
    route: str | None
    group: str
    kind: str = 'chat'
    text: str = ''
    digest: str = ''
    stream: bool = False
    end_user: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    service_tier: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    guardrails: tuple[str, ...] = ()
    max_tokens: int | None = None
    amount: int = 1
    cacheable: bool = True
    fail_status: int | None = None
    passed_to: Deployment | None = None

    def labels(self) -> dict[str, object]:
        """Return the label values that are known before the request is routed."""
        return {
            **self.caller.labels(),
            # LiteLLM takes only texts.
            **{f'metadata_{name}': value for name, value in self.metadata.items() if isinstance(value, str)},
            'end_user': self.end_user,
            'requested_model': self.group,
            'model_group': self.group,
            'route': self.route,
            'client_ip': self.client_ip,
            'user_agent': self.user_agent,
            'service_tier': self.service_tier,
        }


@dataclass(frozen=True)
class Usage:
    """Tokens, embeddings, images and seconds of one answer. The details are parts of `prompt` and `completion`."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_write: int = 0
    input_audio: int = 0
    reasoning: int = 0
    output_audio: int = 0
    embeddings: int = 0
    images: int = 0
    video_seconds: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True)
class Timings:
    """Simulated seconds. `first_token` only for a streamed answer, `guardrails` only what adds to the request."""

    queue: float
    overhead: float
    api: float
    first_token: float | None = None
    guardrails: float = 0.0

    @property
    def processing(self) -> float:
        return self.overhead + self.api + self.guardrails


@dataclass(frozen=True)
class Answer:
    """A success. `remaining` is the provider's or router's remaining requests and tokens, where known."""

    group: str
    deployment: Deployment
    usage: Usage
    timings: Timings
    cost: float
    text: str
    from_cache: bool = False
    remaining: tuple[int, int] | None = None


@dataclass(frozen=True)
class Failure:
    """A failure, as the client is told. `exception` and `exception_status` are the label values, `status` is HTTP's.

    One that is not `counts_for_models` is a failure of the proxy alone, all others are one of a model, too. One that
    `breaks_off` came when the client had been told 200, in the middle of a stream. `exhausted` is the group of which no
    deployment was left.
    """

    status: int
    exception: str
    message: str
    type: str
    param: str | None = None
    deployment: Deployment | None = None
    label_status: str | None = None
    counts_for_models: bool = True
    breaks_off: bool = False
    exhausted: str | None = None

    @property
    def exception_status(self) -> str:
        return str(self.status) if self.label_status is None else self.label_status


@dataclass(frozen=True)
class Attempt:
    """A deployment that failed, and whether it was put into cooldown for that."""

    group: str
    deployment: Deployment
    error: UpstreamError
    cooled_down: bool


@dataclass(frozen=True)
class Fallback:
    """A switch to another model group after a failure of the requested one."""

    model: str
    failure: Failure
    succeeded: bool


@dataclass(frozen=True)
class GuardrailRun:
    """A guardrail that ran: `success`, `intervened` or `error`."""

    guardrail: Guardrail
    status: str


@dataclass
class Outcome:
    """All that one request did, in the order of its life. Either `answer` or `failure` is set at the end."""

    call: Call
    guardrail_runs: list[GuardrailRun] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    fallbacks: list[Fallback] = field(default_factory=list)
    answer: Answer | None = None
    failure: Failure | None = None
    looked_up_cache: bool = False
