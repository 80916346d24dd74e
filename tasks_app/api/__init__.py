"""The HTTP API: read `urls` first; then one file per resource, and one per concern."""
