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

  async function* ofFolder(files) {
    for (const file of files)
      if (!MEDIA.test(file.name)) yield [file.webkitRelativePath, file];
  }

  let waiting = 0;
  let arriving = null;

  async function send(name, files) {
    const batch = crypto.randomUUID();
    arriving = batch;
    for await (const [path, file] of files) {
      const query = new URLSearchParams({ batch, path });
      const answer = await fetch(`upload?${query}`, { method: "POST", body: file });
      if (!answer.ok) break; // It was removed from the list.
    }
    arriving = null;
    await fetch(`upload-end?${new URLSearchParams({ batch, name })}`, { method: "POST" });
  }

  function lose() {
    if (arriving) navigator.sendBeacon(`upload-lost?${new URLSearchParams({ batch: arriving })}`);
    arriving = null;
  }

  async function sendAll(groups) {
    waiting += groups.length;
    for (const [name, files] of groups) {
      await send(name, files).catch(lose);
      waiting -= 1;
    }
  }

  addEventListener("beforeunload", (event) => waiting && event.preventDefault());
  addEventListener("pagehide", lose);

  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry());
    sendAll(entries.filter(Boolean).map((entry) => [entry.name, filesOf(entry)]));
  });
  addEventListener("change", (event) => {
    const files = [...(event.target.files ?? [])];
    if (event.target.id === "files") sendAll(files.map((file) => [file.name, alone(file)]));
    else if (event.target.id === "folder" && files.length)
      sendAll([[files[0].webkitRelativePath.split("/")[0], ofFolder(files)]]);
    else return;
    event.target.value = "";
  });
})();
