// Verifies each of the messages on standard input with the official package, and says what it found.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const verdicts = JSON.parse(readFileSync(0, "utf8")).map(({ secret, headers, body }) => {
  try {
    const message = new Webhook(secret).verify(body, headers);
    return { ok: true, title: message.data.task.title };
  } catch {
    return { ok: false };
  }
});
console.log(JSON.stringify(verdicts));
