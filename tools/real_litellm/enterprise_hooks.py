"""Name the hooks of litellm-enterprise that the proxy loads: managed files, as in LiteLLM's image.

The module `enterprise.enterprise_hooks` is in LiteLLM's repository and image, not in its wheels. A copy of this file
takes its place; it runs in LiteLLM's environment, without this package. The license of litellm-enterprise permits
tests, and what asks for a key of a license still does.
"""
# LiteLLM is not installed where the types are checked.
# mypy: ignore-errors

from __future__ import annotations

from litellm_enterprise.proxy.hooks.managed_files import _PROXY_LiteLLMManagedFiles

ENTERPRISE_PROXY_HOOKS = {'managed_files': _PROXY_LiteLLMManagedFiles}
