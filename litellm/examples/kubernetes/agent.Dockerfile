# An Agent image that contains the wheel. After `make wheel`, in the root of this repository:
#   docker build -f litellm/examples/kubernetes/agent.Dockerfile -t registry.example.com/datadog-agent-litellm:7 .
FROM registry.datadoghq.com/agent:7
COPY dist/datadog_litellm-*.whl /wheels/
RUN agent integration install -r -w /wheels/datadog_litellm-*.whl
