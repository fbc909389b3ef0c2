"""The report behind `python -m datadog_checks.litellm`.

`measure` runs the check twice, `aggregation` turns what it submits into what the Agent would send, `contexts` counts
what that costs and discloses, `summary` and `text`, or `agent_json`, render it, `concealment` keeps keys out of it,
`configuration` and `cli` are the command line. It needs the base package only: no Agent, and nothing that is not in
the Agent's own Python.
"""
