// Once the way is over, no answer stays behind in the browser: whoever shares it could read them.

import { openStorage } from "./outbox.js";

const prefix = `answers:${new URL("next", window.location.href).pathname}:`;
const storage = openStorage(window);
for (const name of Object.keys(storage ?? {})) {
  if (name.startsWith(prefix)) storage.removeItem(name);
}
