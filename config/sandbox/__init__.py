"""The sandbox receiver: stands in for the outside world in the demo, the tests and the benchmarks.

A small ASGI program of its own. It answers as asked (`/status/503`, `/delay/2`, `/hang` …), checks
the signature of all it gets and keeps the last 200,000 requests to be listed.
"""
