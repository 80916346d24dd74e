"""Reads that span models, or that must be one statement."""
