"""A whole receiver in FastAPI: verifies, works once per webhook-id, keeps the newest state.

Run it with `WEBHOOK_SECRET=whsec_… python receive_fastapi.py 8002`, and name
http://…:8002/hook as the destination's url.
"""

import os
import sqlite3
import sys

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
got = sqlite3.connect(os.environ.get("DATABASE", "got.db"), check_same_thread=False)
got.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
got.execute("CREATE TABLE IF NOT EXISTS twin (id TEXT PRIMARY KEY, version INTEGER, title TEXT)")


# --- the receiver: from here on it is what you would write
@app.post("/hook", status_code=204)
async def hook(request: Request) -> None:
    """Answer 204 for what is ours, however often it comes, and 401 for anything else."""
    body = await request.body()  # the bytes as they came: parsing first would break the signature
    try:
        message = Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):  # ValueError: no signature at all
        raise HTTPException(401) from None
    with got:  # a transaction, both or neither: a crash in between lets it come again
        seen = got.execute(
            "INSERT INTO seen VALUES (?) ON CONFLICT DO NOTHING", [request.headers["webhook-id"]]
        )
        if seen.rowcount:
            work(message["data"])


def work(event: dict) -> None:
    """Keep the newest state; an older one may come later when it was sent again by hand."""
    if task := event.get("task"):  # a ping has none
        got.execute(
            "INSERT INTO twin VALUES (:id, :version, :title) ON CONFLICT (id) DO UPDATE"
            " SET version = excluded.version, title = excluded.title"
            " WHERE twin.version < excluded.version",
            {name: task[name] for name in ("id", "version", "title")},
        )


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
