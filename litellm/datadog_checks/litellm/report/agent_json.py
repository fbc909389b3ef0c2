"""The measurement in the form of `agent check --json`."""

from __future__ import annotations

import json
from typing import Any

from ..__about__ import __version__
from .idle_points import count_points, idle_points, moved
from .measure import Measurement

__all__ = ['to_json']


def to_json(measurement: Measurement) -> str:
    """Return the JSON that `agent check --json` prints for one instance.

    Hosts are empty where the Agent would fill in its own name. Distributions are not in it: the Agent's form for them
    holds a sketch that only the Agent computes. What `idle_counts` saves is not in the Agent's, and comes on top.
    """
    return json.dumps([_instance(measurement)], indent=2)


def _instance(measurement: Measurement) -> dict[str, Any]:
    metrics = [
        {
            'metric': context.name,
            'points': [[int(measurement.time), value]],
            'tags': sorted(context.tags),
            'host': context.host,
            'type': kind,
            'interval': 0,
            'source_type_name': 'System',
        }
        for kind, value, context in measurement.points
        if kind != 'distribution'
    ]
    service_checks = [
        {
            'check': check.name,
            'host_name': check.host,
            'timestamp': int(measurement.time),
            'status': check.status,
            'message': check.message,
            'tags': sorted(check.tags),
        }
        for check in measurement.service_checks
    ]
    failure = measurement.failure
    runner = {
        'CheckName': 'litellm',
        'CheckVersion': __version__,
        'CheckID': 'litellm:report',
        'TotalRuns': measurement.runs,
        'TotalErrors': int(failure is not None),
        'TotalWarnings': len(measurement.warnings),
        'MetricSamples': len(metrics),
        'ServiceChecks': len(service_checks),
        'LastExecutionTime': round(measurement.duration * 1000),
        'LastError': json.dumps([failure._asdict()]) if failure else '',
        'LastWarnings': measurement.warnings,
        'UpdateTimestamp': int(measurement.time),
    }
    return {
        'aggregator': {'metrics': metrics, 'service_checks': service_checks},
        'inventories': {},
        'runner': runner,
        'idle_counts': _idle_counts(measurement) if measurement.is_exact else None,
    }


def _idle_counts(measurement: Measurement) -> dict[str, Any]:
    counts = count_points(measurement)
    points = {
        one.setting: {'per_run': one.per_run, 'per_hour': one.per_hour}
        for one in idle_points(counts, measurement.every)
    }
    return {'contexts': len(counts), 'moved': moved(counts), 'interval': measurement.every, 'points': points}
