"""Logs, metrics, health and request ids: a leaf that imports nothing of ours."""
