"""What a person sees once everything runs: where it is, how to log in, what to try."""

from config.supervisor.options import Options

DEMO_KEY = "dev-secret-token"


def welcome(options: Options) -> str:
    """Return the text that ends a start, with three lines to copy."""
    address, key = f"localhost:{options.port}", f"Authorization: Bearer {DEMO_KEY}"
    return f"""
Aftercommit is ready at http://{address}  (API documentation: http://{address}/api/docs/)
Demo login: demo / demo    Demo API key: {DEMO_KEY}    Stop: Ctrl-C

Create a task, watch the stream, see what the sandbox received:

  curl -X POST http://{address}/api/v1/tasks/ -H '{key}' -H 'Content-Type: application/json' \
-d '{{"title": "Hello"}}'
  curl -N http://{address}/api/v1/events/stream?after=0 -H '{key}'
  curl http://localhost:{options.sandbox_port}/received

WebSocket: ws://{address}/ws/tasks?after=0, with the same header.

"""
