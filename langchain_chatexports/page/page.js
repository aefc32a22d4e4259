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
    clearTimeout(field.draftTimer);
    if (field.dataset.pending) draw(text);
    emit(text);
  }

  // An edited message; if it cannot be kept, its text stays.
  function keep(event, emit) {
    event.preventDefault();
    const { line } = event.target.elements;
    clearTimeout(line.draftTimer);
    emit(line.value);
  }

  // A message that is on its way, drawn in the frame of the key press.
  function draw(text) {
    const list = document.getElementById("pending");
    const item = document.createElement("li");
    item.className = "entry mine";
    const bubble = item.appendChild(document.createElement("article"));
    bubble.className = "bubble";
    bubble.appendChild(document.createElement("span")).textContent = text;
    bubble.firstChild.className = "words";
    bubble.dataset.text = squeeze(text);
    list.append(item);
    toEnd();
  }

  const squeeze = (text) => text.replace(/\s+/g, " ");

  // The real bubble is there: remove the drawn one.
  function confirm(row) {
    const text = squeeze(row.querySelector(".words").textContent);
    const drawn = [...document.querySelectorAll("#pending .bubble")];
    drawn.find((bubble) => bubble.dataset.text === text)?.parentElement.remove();
  }

  function draft(event, emit) {
    const field = event.target;
    clearTimeout(field.draftTimer);
    field.draftTimer = setTimeout(() => emit(field.value), 400);
  }

  // Bubbles: the box is upside down, so its end is at 0, and scrolling up is negative.
  const END = -80;
  let missed = 0;
  const box = () => document.getElementById("bubbles");
  const field = () => document.querySelector(".composer textarea");

  function toEnd() {
    box()?.scrollTo({ top: 0 });
  }

  function showPill() {
    const pill = document.querySelector(".pill");
    if (box().scrollTop > END) missed = 0;
    pill.hidden = box().scrollTop > END;
    pill.textContent = missed ? `↓ ${missed}` : "↓";
  }

  function openTalk(textarea) {
    missed = 0;
    box().addEventListener("scroll", showPill, { passive: true });
    const list = box().querySelector(".messages");
    new MutationObserver((changes) => {
      const added = changes.flatMap((change) => [...change.addedNodes]);
      // Not earlier messages, and not an edit field.
      const isNew = added.includes(list.lastElementChild) && !changes.some((c) => c.removedNodes.length);
      if (isNew && box().scrollTop <= END)
        missed += added.filter((node) => node.matches?.(".theirs")).length;
      showPill();
    }).observe(list, { childList: true });
    if (matchMedia("(pointer: coarse)").matches) return;
    textarea.focus();
    textarea.setSelectionRange(1e6, 1e6);
  }

  function moveToBubble(from, step) {
    const bubbles = [...box().querySelectorAll(".messages .bubble")];
    const index = from ? bubbles.indexOf(from) + step : bubbles.length - 1;
    if (bubbles[index]) bubbles[index].focus();
    else if (step > 0) field().focus();
  }

  // The menu of a bubble
  function openMenu(bubble) {
    const menu = document.getElementById("bubble-menu");
    const row = bubble.closest(".entry");
    const isOwn = row.classList.contains("mine");
    const isLast = row.parentElement.lastElementChild === row;
    const shown = {
      edit: isOwn,
      correct: row.classList.contains("model"),
      again: !isOwn && isLast,
      copy: true,
      why: !isOwn && !!row.querySelector(".why:not(.hidden)"),
      delete: isOwn,
    };
    for (const item of menu.children) item.hidden = !shown[item.dataset.action];
    menu.bubble = bubble;
    menu.showPopover();
    const place = bubble.getBoundingClientRect();
    const size = menu.getBoundingClientRect();
    const top = Math.min(place.top + 8, innerHeight - size.height - 8);
    const left = isOwn ? place.left - size.width - 8 : place.right + 8;
    menu.style.top = `${Math.max(8, top)}px`;
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - size.width - 8))}px`;
  }

  const items = (menu) =>
    [...menu.querySelectorAll("[role^=menuitem], a")].filter((item) => item.checkVisibility() && !item.disabled);

  // Popovers tell when they open; the event does not bubble.
  addEventListener(
    "toggle",
    (event) => {
      const menu = event.target;
      if (!menu.matches?.(".menu")) return;
      if (event.newState === "open") items(menu)[0]?.focus();
      else if (menu.contains(document.activeElement)) menu.bubble?.focus();
    },
    true,
  );

  function pick(event) {
    const menu = event.target.closest(".menu");
    const action = event.target.dataset.action;
    const { bubble } = menu;
    menu.hidePopover();
    if (action === "copy") navigator.clipboard.writeText(bubble.querySelector(".words").textContent);
    else if (action === "why") bubble.closest(".entry").querySelector(".why").open = true;
    else menu.dispatchEvent(new CustomEvent("pick", { detail: [action, bubble.dataset.turn] }));
  }

  // A field in place of a bubble
  function select(field) {
    field.focus();
    field.select();
    field.form.scrollIntoView({ block: "nearest" });
  }

  function editKey(event) {
    if (event.key === "Escape") event.target.form.querySelector(".cancel").click();
    else enter(event);
  }

  function leave(event, emit) {
    const { line } = event.target.form.elements;
    clearTimeout(line.draftTimer);
    emit(line.value);
  }

  function focusBubble(turn, side) {
    const bubbles = [...document.querySelectorAll(`.${side} > .bubble[data-turn="${turn}"]`)];
    (bubbles.at(-1) ?? field())?.focus();
  }

  function showRemembered(event) {
    const item = event.currentTarget;
    const isOn = item.getAttribute("aria-checked") !== "true";
    item.setAttribute("aria-checked", isOn);
    for (const why of document.querySelectorAll(".why")) why.open = isOn;
  }

  function closeMenu(event) {
    event.target.closest(".menu").hidePopover();
  }

  addEventListener("keydown", (event) => {
    const menu = event.target.closest?.(".menu");
    const bubble = event.target.closest?.(".messages .bubble");
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (menu && step) {
      const all = items(menu);
      all.at((all.indexOf(event.target) + step) % all.length).focus();
    } else if (bubble && step) moveToBubble(bubble, step);
    else if (bubble && event.key === "Enter" && event.target === bubble) openMenu(bubble);
    else if (bubble && event.key === "Escape") field()?.focus();
    else if (event.target === field() && event.key === "ArrowUp" && !event.target.value) moveToBubble(null, -1);
    else if (event.target === box() && step) moveToBubble(null, -1);
    else return;
    event.preventDefault();
  });

  // The mark in a bubble's corner is drawn by the style sheet.
  const CORNER = 36;
  addEventListener("click", (event) => {
    const bubble = event.target.closest?.(".messages .bubble");
    if (!bubble || event.detail === 0) return;
    const place = bubble.getBoundingClientRect();
    const isRight = getComputedStyle(bubble).direction === "ltr";
    const x = isRight ? place.right - event.clientX : event.clientX - place.left;
    if (x < CORNER && event.clientY - place.top < CORNER) openMenu(bubble);
  });

  // A long press opens the menu when the finger is lifted: before, that would close it.
  let press = 0;
  let held = null;
  function release() {
    clearTimeout(press);
    held?.classList.remove("held");
    held = null;
  }
  function hold(bubble) {
    held = bubble;
    bubble.classList.add("held");
  }
  addEventListener("pointerdown", (event) => {
    const bubble = event.target.closest?.(".messages .bubble");
    release();
    if (bubble && event.pointerType === "touch") press = setTimeout(hold, 500, bubble);
  });
  addEventListener("pointerup", () => {
    const bubble = held;
    release();
    if (bubble) setTimeout(() => openMenu(bubble));
  });
  addEventListener("pointercancel", release);
  addEventListener("contextmenu", (event) => {
    if (held) event.preventDefault();
  });

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
    // A dialog would cover the message.
    if (frame.inert) for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close("");
  }, 500);

  return { enter, submit, keep, announce, notify, draft, confirm, openTalk, toEnd, pick, select, editKey, leave, focusBubble, showRemembered, closeMenu };
})();
