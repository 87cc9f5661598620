// Talking to the server that this page came from; there is no other.

const TOKEN = "deadpan-token";

// `deadpan` prints addresses that end in #token=...: what follows # is never sent, and it leaves the address bar here.
if (location.hash.startsWith("#token=")) {
  sessionStorage.setItem(TOKEN, decodeURIComponent(location.hash.slice(7)));
  history.replaceState(null, "", location.pathname);
}

export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export class Refused extends Error {
  constructor(status, detail, options) {
    super(detail, options);
    this.status = status;
  }
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

// A response, or Refused with what the server says; a server with too much to do is asked again.
export async function ask(path, form, signal) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  for (let tries = 0; ; tries++) {
    let response;
    try {
      response = await fetch(path, form ? { method: "POST", body: form, headers, signal } : { headers });
    } catch {
      signal?.throwIfAborted();
      throw new Refused(0, "the server does not answer; does it still run?");
    }
    if (response.ok) return response;
    if (response.status === 429 && tries < 20) {
      await pause(Number(response.headers.get("Retry-After")) || 1);
      continue;
    }
    let detail = response.statusText;
    try {
      detail = (await response.json()).detail;
    } catch { /* not every answer on the way here is JSON */ }
    throw new Refused(response.status, detail);
  }
}

// The JSON lines of an answer, each as soon as it is there.
export async function* askLines(path, form, signal) {
  const response = await ask(path, form, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      signal.throwIfAborted();
      throw new Refused(0, "the connection ended before the answer did", { cause: error });
    });
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

export function openLive(query) {
  const protocols = ["deadpan"];
  const token = sessionStorage.getItem(TOKEN);
  if (token) protocols.push(`deadpan.token.${btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`);
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/live?${query}`, protocols);
  socket.binaryType = "arraybuffer";
  return socket;
}
