"""The event log: one way in, one hook out."""
