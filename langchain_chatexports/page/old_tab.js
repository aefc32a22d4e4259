// Reconnects a tab after `chatexports open` was restarted on the same port.
// See old_tab.py for the signatures, and why the key is not sent.
(() => {
  const KEY = "TAB_KEY";
  const bytes = (text) => new TextEncoder().encode(text);

  async function sign(text) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", bytes(KEY), algorithm, false, ["sign"]);
    const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(text)));
    return [...signature].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async function reconnect() {
    const nonce = crypto.randomUUID();
    const page = await fetch(`/old-tab?nonce=${nonce}`);
    const proof = await page.text();
    if (!page.ok || proof !== (await sign(`page ${location.port} ${nonce}`))) return;
    const tab = await sign(`tab ${location.port} ${nonce}`);
    const link = await fetch(`/old-tab?nonce=${nonce}&proof=${tab}`);
    if (!link.ok) return;
    const path = link.headers.get("refresh").split("url=")[1];
    location.replace(path + location.pathname.split("/").slice(2).join("/"));
  }

  let isTrying = false;
  const isConnected = () => window.socket?.connected;

  async function reconnectIfClosed() {
    if (isTrying || isConnected()) return;
    isTrying = true;
    await reconnect().catch(() => {}); // The page is still down.
    isTrying = false;
  }

  // A new tab may take long to connect for the first time, and be closed soon after.
  const connecting = setInterval(() => {
    if (!isConnected()) return;
    clearInterval(connecting);
    setInterval(reconnectIfClosed, 1000);
  }, 50);
})();
