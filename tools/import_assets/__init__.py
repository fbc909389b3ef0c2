"""Import dashboards, monitors, SLOs and the log pipeline into a Datadog account, and bring them up to date there.

| module | holds |
| --- | --- |
| `assets` | what is to be there: the files, for one environment and service, with the handles to notify |
| `validity` | what the models of Datadog's API client find wrong with a definition |
| `account` | what is there, and the difference: one request per asset that is new or has changed |
"""

from __future__ import annotations
