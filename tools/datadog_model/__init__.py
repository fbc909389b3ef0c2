"""A small model of Datadog: what becomes of submissions, and what dashboards, monitors and SLOs make of them.

It exists because no account is at hand in a test. Its rules are those of Datadog's public documentation; each docstring
names its page. What an asset uses and the model does not know is an error, never a pass.
"""

from .dashboards import (
    CheckStatuses,
    Dashboard,
    Result,
    Scalar,
    Widget,
    evaluate_check_status,
    evaluate_over_time,
    evaluate_widget,
)
from .errors import AssetError, QueryError
from .frames import Window
from .monitors import Evaluation, Monitor, run_monitor
from .notifications import Notification, notifications
from .slos import Attainment, Objective, ServiceLevelObjective
from .store import Recorder, Series, Store
from .syntax import MetricQuery, metric_queries, parse
from .timeseries import Timeseries, Variables, default_interval, evaluate

__all__ = [
    'AssetError',
    'Attainment',
    'CheckStatuses',
    'Dashboard',
    'Evaluation',
    'MetricQuery',
    'Monitor',
    'Notification',
    'Objective',
    'QueryError',
    'Recorder',
    'Result',
    'Scalar',
    'Series',
    'ServiceLevelObjective',
    'Store',
    'Timeseries',
    'Variables',
    'Widget',
    'Window',
    'default_interval',
    'evaluate',
    'evaluate_check_status',
    'evaluate_over_time',
    'evaluate_widget',
    'metric_queries',
    'notifications',
    'parse',
    'run_monitor',
]
