"""Verbs of the domain: each is one transaction and ends in the log."""
