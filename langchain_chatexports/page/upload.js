// Files and folders that are dropped anywhere on the page, or chosen, are sent to it one
// by one. Photos and films are not: no export is read from them.
(() => {
  const MEDIA =
    /\.(jpe?g|png|gif|webp|hei[cf]|bmp|tiff?|mp4|mov|m4v|avi|webm|3gp|mp3|m4a|aac|amr|opus|ogg|oga|wav)$/i;

  const read = (reader) => new Promise((done, fail) => reader.readEntries(done, fail));
  const open = (entry) => new Promise((done, fail) => entry.file(done, fail));

  async function* filesOf(entry) {
    if (entry.isFile) {
      if (!entry.fullPath.slice(1).includes("/") || !MEDIA.test(entry.name))
        yield [entry.fullPath.slice(1), await open(entry)];
      return;
    }
    const reader = entry.createReader();
    for (let found = await read(reader); found.length; found = await read(reader))
      for (const inner of found) yield* filesOf(inner);
  }

  async function* alone(file) {
    yield [file.name, file];
  }

  async function send(files) {
    const batch = crypto.randomUUID();
    for await (const [path, file] of files) {
      const query = new URLSearchParams({ batch, path });
      const answer = await fetch(`upload?${query}`, { method: "POST", body: file });
      if (!answer.ok) break; // It was removed from the list.
    }
    await fetch(`upload-end?${new URLSearchParams({ batch })}`, { method: "POST" });
  }

  async function sendAll(groups) {
    for (const files of groups) await send(files).catch(console.warn);
  }

  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry());
    sendAll(entries.filter(Boolean).map(filesOf));
  });
  addEventListener("change", (event) => {
    if (event.target.id !== "files") return;
    sendAll([...event.target.files].map(alone));
    event.target.value = "";
  });
})();
