// Uploads dropped or chosen files and folders one by one, without photos and videos.
(() => {
  const MEDIA =
    /\.(jpe?g|png|gif|webp|hei[cf]|bmp|tiff?|mp4|mov|m4v|avi|webm|3gp|mp3|m4a|aac|amr|opus|ogg|oga|wav)$/i;

  // All addresses begin with the page's secret path.
  const address = (name) => `/${location.pathname.split("/")[1]}/${name}`;
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

  async function* singleFile(file) {
    yield [file.name, file];
  }

  async function* folderFiles(files) {
    for (const file of files)
      if (!MEDIA.test(file.name)) yield [file.webkitRelativePath, file];
  }

  let pending = 0;
  let currentBatch = null;

  async function send(name, files) {
    const batch = crypto.randomUUID();
    currentBatch = batch;
    for await (const [path, file] of files) {
      const query = new URLSearchParams({ batch, path });
      const response = await fetch(address(`upload?${query}`), { method: "POST", body: file });
      if (!response.ok) break; // The export was removed from the list, or the disk is full.
    }
    currentBatch = null;
    const query = new URLSearchParams({ batch, name, is_complete: true });
    await fetch(address(`upload-end?${query}`), { method: "POST" });
  }

  function abort() {
    const query = new URLSearchParams({ batch: currentBatch, name: "", is_complete: false });
    if (currentBatch) navigator.sendBeacon(address(`upload-end?${query}`));
    currentBatch = null;
  }

  async function sendAll(groups) {
    pending += groups.length;
    document.body.classList.add("copying");
    for (const [name, files] of groups) {
      await send(name, files).catch(abort);
      pending -= 1;
    }
    if (pending) return;
    document.body.classList.remove("copying");
    // The screen that shows what was added; a talk goes on without its screen.
    if (!location.pathname.endsWith("/add")) location.assign(address("add"));
  }

  addEventListener("beforeunload", (event) => pending && event.preventDefault());
  addEventListener("pagehide", abort);

  // A frame while files are dragged; text of the page itself can be dragged, too.
  let hideFrame = 0;
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dragging");
    clearTimeout(hideFrame);
    // The event comes all the time, but its end is not told if the mouse leaves.
    hideFrame = setTimeout(() => document.body.classList.remove("dragging"), 400);
  });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.remove("dragging");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry());
    sendAll(entries.filter(Boolean).map((entry) => [entry.name, filesOf(entry)]));
  });
  addEventListener("change", (event) => {
    const files = [...(event.target.files ?? [])];
    if (event.target.id === "files") sendAll(files.map((file) => [file.name, singleFile(file)]));
    else if (event.target.id === "folder" && files.length)
      sendAll([[files[0].webkitRelativePath.split("/")[0], folderFiles(files)]]);
    else return;
    event.target.value = "";
  });
})();
