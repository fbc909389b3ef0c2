"""A normal form for routes, which LiteLLM takes from the paths of requests.

A client may request any path: scanners do, and each one that is refused becomes a value of `route`. Paths also hold
identifiers, of files, threads or users. The normal form keeps the words that LiteLLM's own routes are made of, and
nothing else, so there are only so many.

Not exact: a path made of such words need not be a route of LiteLLM. Routes that a proxy is configured to pass through
are `other`, unless they begin with such a word.
"""

from __future__ import annotations

__all__ = ['OTHER', 'ROUTE_LABEL', 'WORDS', 'normal_route']

ROUTE_LABEL = 'route'
# As LiteLLM itself calls what is beyond a limit.
OTHER = 'other'
# In place of a part of a path that is no word.
_IDENTIFIER = '*'
# Segments beyond, however many, become one. No route of LiteLLM has as many.
_LONGEST = 12

# The words of the routes of LiteLLM 1.80.11 and 1.110.2.
_WORDS = """
.well-known Groups ResourceTypes Schemas ServiceProviderConfig Users a2a access_group access_groups active activity
adaptive_router add add_guardrail_settings agent agent-card.json agent-skills agent.json agent_hub agents aggregated
alerting aliases all-versions all_end_users all_tag_names allowed_ip allowed_ips anthropic anthropic_beta_headers
anthropic_beta_headers_reload api apply_guardrail approve apps archive assemblyai assistants asyncio-tasks attachments
audio audit auth-token authorize auto_router autorouter_presets availability available available_providers
available_roles available_users azure azure_ai azure_speech backend-api background_chat_settings backlog batch batches
bedrock benchmarks bespoke block block_requests_for_models_without_pricing budget budgets bulk bulk_delete
bulk_member_add bulk_update by_model by_name by_user cache cache_hits cache_leakage_keys calculate call callback
callbacks calls cancel capture_rate category_yaml change characters chat check claim_token classifier claude-code
claude_code_gateway cli client-ip client_secrets cloudzero codex cohere compact compare complete completions
complexity_router compliance comprehendmedical config config_overrides configs configure connect connection
connections containers content coordination_redis cost cost_discount_config cost_map cost_margin_config
cost_optimization count_tokens credentials cursor customer cyberark daily dau debug decisions deepgram default_prompt
default_team_settings delete deployment deployment_warnings deployments deprecations detail details
device_authorization disable disable_logging discover discovery distinct dotprompt_json_converter downloads drain
dry-run edits embeddings enable enabled end_user end_users endpoints engines enrich error errors estimate
estimate-impact eu-ai-act eu.assemblyai eu_jev evals event_logging events exceptions exchange export extensions
extraction fal_ai fallback features feedback field fields files filter findings fine_tuning flow flushall fuse_presets
gateway gc gdpr gemini generate generations get get_favicon get_image get_logo_url get_token gigachat github global
guardrails hashicorp_vault health help history identities identity identity-map images import index.json indexes info
ingest init input_items input_tokens installed interactions internal_user_settings introspect invitation jobs jwks
jwks.json jwt key keys kill_switch kubernetes_pods langfuse latest latest_release_info laya lazy lens license list
listen litellm litellm-cli-auth litellm-ui-config litellm_blog_posts litellm_model_cost_map live liveliness liveness
login logo logout logs major_airlines make_public managed management mapping marketplace.json mau mcp mcp-rest
mcp-session mcp_hub mcp_semantic_filter_settings mcp_tool_search_settings me member member_add member_delete
member_update members memory memory-usage memory-usage-in-mem-cache memory-usage-in-mem-cache-items merge message
messages metadata metadata_schema metrics migrate-encryption milvus mistral model model-deprecations model-insights
model_cost_map model_cost_map_reload model_group model_hub model_info model_top_keys models moderations modes moyai
name network new nvidia_nim oauth oauth-authorization-server oauth-protected-resource oauth-user-credential ocr
onboarding openai openai_passthrough openapi-registry openid-configuration openrouter options organization otel-spans
overrides overview pass_through_endpoint pass_through_endpoints password per-user-analytics permissions_bulk_update
permissions_list permissions_update pin ping placeholders plugin-proxy plugins policies policy poll predict
predict-cache project prompt prompt_caching prompts provider provider_specific_params providers proxy public publish
query queue rag readiness realtime redis refresh regenerate register registry.json reject reload remix report reports
repositories requests rerank reset reset_budget reset_spend resolve resolved-guardrails responses revoke
roi-calculator router routes runs saml scan schedule scorer_defaults search search_tools send server service
service-account services session sessions settings setup shadow_eval shared-status signals skill-hub skill_hub skills
slow_responses source spans speak speech spend spend_logs sse sso sso_settings start state status stop stream
streaming_metrics submissions subscription_accounts suggest summary supported_openai_params sync systemone tag tags
tasks team teams telemetry templates test test-pipeline test_connection test_custom_code test_policies_and_guardrails
test_routing threads tinyfish token token_counter tool tools toolset traces transcribe transcription_sessions
transcriptions transform_request translations typesafe ui ui_events ui_settings ui_theme_settings unblock unpublish
update update_useful_links upload usage user user-agent user-credential user-credentials user-env-vars user_banner
user_connection user_connections users utils v1 v1beta v2 v3 validate validate_blocked_words_file
validate_complexity_router_config vantage vector_store vector_stores versions vertex-ai vertex_ai videos vllm warm
watsonx wau websearch_interception_settings workflows yaml
"""
WORDS = frozenset(_WORDS.split())


def normal_route(route: str) -> str:
    """Return the normal form of a path: `/v1/files/*` for `/v1/files/file-a1`, and `other` for `/wp-login.php`."""
    if not route.startswith('/'):
        return route
    first, *rest = route[1:].split('/', maxsplit=_LONGEST)
    if first and first not in WORDS:
        return OTHER
    return '/'.join(['', first, *(part if part in WORDS or not part else _IDENTIFIER for part in rest)])
