// A tab whose page has ended, and begun again on its port, opens its screen again.
// See old_tab.py for what is signed, and why the key is not sent.
(() => {
  const KEY = "TAB_KEY";
  const bytes = (text) => new TextEncoder().encode(text);

  async function signed(text) {
    const how = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", bytes(KEY), how, false, ["sign"]);
    const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(text)));
    return [...signature].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async function comeBack() {
    const nonce = crypto.randomUUID();
    const page = await fetch(`/old-tab?nonce=${nonce}`);
    const proof = await page.text();
    if (!page.ok || proof !== (await signed(`page ${location.port} ${nonce}`))) return;
    const tab = await signed(`tab ${location.port} ${nonce}`);
    const link = await fetch(`/old-tab?nonce=${nonce}&proof=${tab}`);
    if (!link.ok) return;
    const path = link.headers.get("refresh").split("url=")[1];
    location.replace(path + location.pathname.split("/").pop());
  }

  let isTrying = false;
  setInterval(async () => {
    if (isTrying || !window.socket || window.socket.connected) return;
    isTrying = true;
    await comeBack().catch(() => {}); // It is still away.
    isTrying = false;
  }, 1000);
})();
