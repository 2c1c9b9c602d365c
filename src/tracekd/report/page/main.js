// Which view is shown, and the keyboard.

const views = {};

/** Show what the address says. */
function show() {
  const now = state();
  const name = ["overview", "questions", "differences"].includes(now.v) ? now.v
    : now.q ? "questions" : "overview";
  const main = document.getElementById("main");
  if (name === "questions") views.questions ??= new QuestionsView();
  else if (name === "differences" && data.differences) views.differences ??= new DifferencesView();
  else views.overview ??= { node: element("div", { class: "overview" }, overview()) };
  const view = views[name] ?? views.overview;
  if (main.firstChild !== view.node) {
    main.replaceChildren(view.node);
    window.scrollTo(0, 0);
  }
  view.update?.(now);
  for (const tab of document.querySelectorAll("nav a")) {
    const filters = Object.fromEntries(Object.entries(now).filter(([key]) => key !== "v"));
    tab.setAttribute("href", link({ v: tab.dataset.view, ...filters }));
    if (tab.dataset.view === name) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · ${data.title}`;
}

const KEYS = {
  1: () => go({ v: "overview" }),
  2: () => go({ v: "questions" }),
  3: () => data.differences && go({ v: "differences" }),
  "/": () => {
    go({ v: "questions" }, state().v !== "questions");
    views.questions.search.focus();
  },
  j: () => views.questions?.list.move(1),
  k: () => views.questions?.list.move(-1),
  r: () => views.questions?.reset(),
  "?": () => document.getElementById("keys").showModal(),
};

/** Start the page. */
async function start() {
  await readIndex();
  show();
  window.addEventListener("popstate", show);
  window.addEventListener("hashchange", show);
  document.getElementById("help").addEventListener("click", KEYS["?"]);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address holds the state
    document.getElementById("main").focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input[type=search], select, dialog");
    if (typing && event.key === "Escape" && event.target.blur) event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
}

start();
