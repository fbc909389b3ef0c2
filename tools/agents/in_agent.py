"""Runs inside an Agent's environment, where there is nothing but the base package and the wheel.

Reads from standard input which check to load, which configurations to put to its models and which to run, and writes
what came of it to standard output. A configuration is an `init_config` and an instance.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from types import ModuleType
from typing import Any, cast

from datadog_checks.base import AgentCheck
from datadog_checks.base.stubs import aggregator

# The package that the wheels of all checks share.
SHARED_PACKAGE = 'datadog_checks'


def find_check_class(module: ModuleType) -> type[Any]:
    """Return the class that the Agent's loader takes: the first check by name that no other class inherits from."""
    for name in dir(module):
        found = getattr(module, name)
        is_check = isinstance(found, type) and issubclass(found, AgentCheck) and found is not AgentCheck
        if is_check and not found.__subclasses__():
            return cast(type[Any], found)
    raise LookupError(f'no check in {module.__name__}')


def make(check_class: type[Any], name: str, configuration: list[Any]) -> Any:
    init_config, instance = configuration
    return check_class(name=name, init_config=init_config or {}, instances=(instance,))


def from_yaml(check_class: type[Any], configuration: list[str]) -> list[Any]:
    """Take a configuration as the Agent hands it over; some base packages start a process for each text."""
    return [check_class.load_config(text) for text in configuration]


def complaint(check_class: type[Any], name: str, configuration: list[Any]) -> str:
    """Return why the check does not take a configuration, or nothing."""
    try:
        make(check_class, name, configuration).load_configuration_models()
    except Exception as error:  # noqa: BLE001, it is what was asked for
        return str(error)
    return ''


def run(check_class: type[Any], name: str, configuration: list[Any]) -> dict[str, Any]:
    """Run a check once and return the error, and the sum and number of contexts of each metric."""
    aggregator.reset()
    error = make(check_class, name, configuration).run()
    metrics = {metric: aggregator.metrics(metric) for metric in aggregator.metric_names}
    return {
        'error': error,
        'metrics': {metric: [sum(stub.value for stub in stubs), len(stubs)] for metric, stubs in metrics.items()},
        'service_checks': {
            service_check: [stub.status for stub in aggregator.service_checks(service_check)]
            for service_check in aggregator.service_check_names
        },
    }


def main() -> None:
    # What goes wrong is in the result.
    logging.disable(logging.CRITICAL)
    asked = json.load(sys.stdin)
    name = asked['check']
    module = importlib.import_module(f'{SHARED_PACKAGE}.{name}')
    check_class = find_check_class(module)
    discover = getattr(check_class, 'discover_config', None)
    answer = {
        'class': check_class.__name__,
        'file': module.__file__,
        'version': module.__version__,
        'complaints': [complaint(check_class, name, configuration) for configuration in asked['for_models']],
        'collected': run(check_class, name, from_yaml(check_class, asked['to_collect'])),
        'runs': [run(check_class, name, configuration) for configuration in asked['to_run']],
        'discovered': json.loads(discover(json.dumps(asked['service']))) if discover else None,
    }
    json.dump(answer, sys.stdout)


if __name__ == '__main__':
    main()
