"""Draw our dashboards without a Datadog account: `make preview`.

Check runs are recorded (`live`) and the model of Datadog evaluates the dashboards over them. Each becomes one HTML
page (`dashboard_page`, with `widgets`, `charts` and `units`); `pictures` takes pictures of pages with Chromium.
"""
