// Where corrections are kept: in the browser's storage after every change; in a file on request, or by the local server by itself.
crisp.createSaving = (run, work, show) => {
  const FILE = "corrections.json", DELAY_MS = 800;
  // A web server may show several pages of runs of the same name, such as micrographs/general.
  let key = `CRISP corrections ${location.pathname} ${run.name}`;
  // `tag`: version of the server's file that the work is based on; null if there is none.
  const saving = { unsaved: false, isServed: false, tag: null, handle: null, timer: 0, running: null, isConflict: false, isKept: true, refusal: "" };
  const isHttp = location.protocol.startsWith("http");

  function store() {
    try {
      localStorage.setItem(key, JSON.stringify({ file: work.toFile(), unsaved: saving.unsaved, tag: saving.tag }));
      saving.isKept = true;
    } catch {
      saving.isKept = false;
    }
  }

  function stored() {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  }

  function mark(unsaved) {
    saving.unsaved = unsaved;
    store();
    show();
  }

  // The server answers with this header where it takes the file of the run.
  async function ask() {
    if (!isHttp) return null;
    const answer = await fetch(FILE, { cache: "no-store" }).catch(() => null);
    saving.isServed = answer?.headers.get("CRISP-Saves") === "yes";
    if (!saving.isServed) return null;
    // Another folder of results may have a run of the same name.
    key = `CRISP corrections ${answer.headers.get("CRISP-Folder")} ${run.name}`;
    // 204: there is no file yet. One that is no JSON is not a file of corrections either.
    return answer.status === 200 ? { file: (await answer.json().catch(() => null)) ?? {}, tag: answer.headers.get("ETag") } : { file: null, tag: null };
  }

  // Base the work on the server's file. If the page cannot read it, its tag stays unknown, so that no save replaces it unasked.
  function follow(served) {
    const problem = served.file && work.problem(served.file);
    saving.refusal = problem ? `corrections.json in the folder: ${problem}` : "";
    saving.tag = saving.refusal ? null : served.tag;
    saving.isConflict = Boolean(saving.refusal);
    return !problem;
  }

  function open(file, saved) {
    const problem = work.problem(file);
    if (problem) show(problem, true); else work.open(file, saved);
    return !problem;
  }

  async function start() {
    const served = await ask(), own = stored();
    if (!served) return own && open(own.file, !own.unsaved);
    const canFollow = follow(served);
    if (!own?.unsaved) return canFollow && served.file && open(served.file, true);
    saving.isConflict = own.tag !== served.tag;
    return open(own.file, false);
  }

  async function put(content) {
    const headers = { "Content-Type": "application/json", ...(saving.tag ? { "If-Match": saving.tag } : { "If-None-Match": "*" }) };
    const answer = await fetch(FILE, { method: "PUT", headers, body: content }).catch(() => null);
    if (answer?.ok) saving.tag = answer.headers.get("ETag");
    else if (answer?.status === 412) saving.isConflict = true;
    else throw new Error(answer ? (await answer.text()).trim() : "The local server does not answer.");
    return answer.ok;
  }

  function download(content) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([content], { type: "application/json" })), download: FILE });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    return true;
  }

  async function write(content) {
    const stream = await saving.handle.createWritable();
    await stream.write(content);
    await stream.close();
    return true;
  }

  async function saveNow(to) {
    clearTimeout(saving.timer);
    const file = work.toFile(), content = `${JSON.stringify(file)}\n`, before = work.version();
    try {
      const isWritten = await to(content);
      if (isWritten) mark(work.version() !== before);
      else show();
    } catch (error) {
      show(`Not saved: ${error.message} The work is kept in this browser.`, true);
      return;
    }
    if (saving.isServed && saving.unsaved && !saving.isConflict) later();
  }

  // One save at a time.
  async function save(to = saving.isServed ? put : saving.handle ? write : download) {
    while (saving.running) await saving.running;
    saving.running = saveNow(to);
    await saving.running;
    saving.running = null;
  }

  function later() {
    clearTimeout(saving.timer);
    saving.timer = setTimeout(save, DELAY_MS);
  }

  async function saveTo() {
    try {
      saving.handle = await window.showSaveFilePicker({ suggestedName: FILE, types: [{ accept: { "application/json": [".json"] } }] });
    } catch (error) {
      if (error.name !== "AbortError") show(`Not saved: ${error.message}`, true);
      return;
    }
    await save(write);
  }

  async function openFile(file) {
    const text = await file.text();
    let content;
    try { content = JSON.parse(text); } catch { return show("This is not a JSON file.", true); }
    if (open(content, saving.isServed ? undefined : true)) show(`Opened ${file.name}.`);
  }

  // After a conflict: `mine` replaces the file of the server, otherwise the file replaces the work.
  async function settle(mine) {
    const served = await ask();
    if (!served) return show("The local server does not answer.", true);
    if (mine || !served.file) {
      Object.assign(saving, { tag: served.tag, isConflict: false, refusal: "" });
      return save();
    }
    if (follow(served)) open(served.file, true); else show();
  }

  work.listen((isSaved) => {
    mark(!isSaved);
    if (saving.isServed && !isSaved && !saving.isConflict) later();
  });
  window.addEventListener("beforeunload", (event) => { if (saving.unsaved) event.preventDefault(); });
  window.addEventListener("storage", (event) => {
    if (event.key === key) show("These picks are being corrected in another tab, too: close one of them, then reload the other.", true);
  });
  return { start, save, saveTo, openFile, settle, state: saving, canPick: "showSaveFilePicker" in window };
};
