// What must run in the browser. Elements call it by their `js_handler`.
window.page = (() => {
  // Enter submits, but not in an input method, such as for Chinese, Japanese and Korean.
  function enter(event) {
    const isPlain = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (!isPlain || event.keyCode === 229) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  }

  // The field is read and cleared here: no event per key, and no key is lost while the
  // text is on its way.
  function submit(event, emit) {
    event.preventDefault();
    const field = event.target.elements.line;
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    field.dispatchEvent(new Event("cleared"));
    emit(text);
  }

  // The values of all fields of a form.
  function fields(event, emit) {
    event.preventDefault();
    emit(Object.fromEntries(new FormData(event.target)));
  }

  function announce(text) {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  }

  // Says that something long is done: in the title, and by the system if that is allowed.
  function notify(text) {
    announce(text);
    if (!document.hidden) return;
    const title = document.title;
    document.title = `✓ ${text}`;
    const restore = () => {
      if (!document.hidden) document.title = title;
    };
    document.addEventListener("visibilitychange", restore, { once: true });
    if (window.Notification?.permission === "granted") new Notification(text);
  }

  // Without the program, nothing can be clicked; NiceGUI's message says how to start it.
  let wasConnected = false;
  setInterval(() => {
    const frame = document.getElementById("frame");
    if (!frame || !window.socket) return;
    wasConnected ||= window.socket.connected;
    frame.inert = wasConnected && !window.socket.connected;
  }, 500);

  return { enter, submit, fields, announce, notify };
})();
