# An Agent image that contains the wheel. In the root of this repository, with one wheel and no other in dist/ (`make
# wheel`, or a downloaded one), and both versions in the tag, so that neither changes by itself:
#   docker build -f litellm/examples/kubernetes/agent.Dockerfile --build-arg AGENT=7.72.4 \
#     -t registry.example.com/datadog-agent-litellm:7.72.4-2026.11.0 .
ARG AGENT=7.72.4
FROM registry.datadoghq.com/agent:${AGENT}
COPY dist/datadog_litellm-*.whl /wheels/
RUN agent integration install -r -w /wheels/datadog_litellm-*.whl
