"""What a person sees once everything runs: where it is, how to log in, what to try."""

from config.supervisor.options import Options

DEMO_KEY = "dev-secret-token"


def welcome(options: Options) -> str:
    """Return the text that ends a start, with three lines to copy."""
    address, python = f"http://localhost:{options.port}", ".venv/bin/python"
    key = f"-H 'Authorization: Bearer {DEMO_KEY}'"
    ticket = f"curl -s -X POST {address}/api/v1/stream/ticket/ {key}"
    url = """import json, sys; print(json.load(sys.stdin)["url"])"""
    body = """-H 'Content-Type: application/json' -d '{"title": "Hello"}'"""
    return f"""
Aftercommit is ready at {address}  (API documentation: {address}/api/docs/)
Demo login: demo / demo    Demo API key: {DEMO_KEY}    Stop: Ctrl-C

Follow the stream, create a task, see what the sandbox received (each in a terminal):

{python} -m websockets "$({ticket} | {python} -c '{url}')"
curl -X POST {address}/api/v1/tasks/ {key} {body}
curl http://localhost:{options.sandbox_port}/received

"""
