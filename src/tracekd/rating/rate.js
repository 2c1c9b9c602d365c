// One trace after the other; what is rated is kept in this browser until it is exported.

const byId = (id) => document.getElementById(id);
const form = byId("rating");
let plan, study; // the plan, and this rater's own: slot, rater, place, ratings by trace
let shownAt = null; // since when the trace has been visible, in milliseconds

/** Return the name under which a slot of this plan is kept. */
function storageKey(slot) {
  return `tracekd-rating ${plan.checksum} ${slot}`;
}

/** Return what was kept for a slot, or null. */
function kept(slot) {
  try {
    return JSON.parse(localStorage.getItem(storageKey(slot)));
  } catch {
    return null;
  }
}

/** Keep what is rated; warn if the browser does not. */
function save() {
  try {
    localStorage.setItem(storageKey(study.slot), JSON.stringify(study));
  } catch {
    byId("warning").hidden = false;
    byId("warning").textContent = "This browser keeps nothing: do not close the page before you "
      + "have downloaded the ratings.";
  }
}

/** Return the ids that this slot reads, in order. */
function order() {
  return plan.slots[study.slot - 1];
}

/** Return the number of traces with a rating for every item. */
function rated(one) {
  const items = new Set([...form.elements].filter((field) => field.type === "radio")
    .map((field) => field.name));
  return Object.values(one.ratings).filter(({ values }) =>
    Object.keys(values).length === items.size).length;
}

/** Show one of the sections, and let the keyboard begin at its heading. */
function show(id) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = true;
  byId(id).hidden = false;
  window.scrollTo(0, 0);
  byId(id).querySelector("h1").focus();
}

/** Add the time for which the trace was visible. */
function clock(running) {
  const now = performance.now();
  if (shownAt !== null) study.ratings[order()[study.place]].seconds += (now - shownAt) / 1000;
  shownAt = running ? now : null;
}

/** Show the trace at the current place, with what is already rated; after the last one, the end. */
function showTrace() {
  if (study.place === order().length) {
    save();
    show("end");
    return;
  }
  const id = order()[study.place];
  const [question, trace, answer] = plan.traces[id];
  const rating = study.ratings[id] ??= { values: {}, comment: "", seconds: 0 };
  const [asked, context] = plan.questions[question] ?? ["", []];
  byId("place").textContent = `Trace ${study.place + 1} of ${order().length}`;
  byId("progress").max = order().length;
  byId("progress").value = study.place;
  byId("about").hidden = question === null;
  byId("context").replaceChildren(...context.map((fact) => dataText("li", fact)));
  byId("question").replaceChildren(dataText("span", asked));
  byId("trace").replaceChildren(dataText("div", trace));
  byId("conclusion").hidden = !answer;
  byId("answer").replaceChildren(dataText("span", answer));
  for (const field of form.elements) {
    if (field.type === "radio") field.checked = rating.values[field.name] === Number(field.value);
  }
  byId("comment").value = rating.comment;
  byId("back").hidden = study.place === 0;
  shownAt = performance.now();
  show("trial");
}

/** Go to another place. */
function move(step) {
  clock(false);
  study.place += step;
  save();
  showTrace();
}

/** Offer what is rated as a file. */
function exportRatings() {
  if (study.place < order().length) clock(true);
  save();
  const { slot, rater, ratings } = study;
  const content = { plan: plan.checksum, slot, rater, ratings };
  download(`ratings-${slot}-${rater.slice(0, 7)}.json`, "application/json",
    `${JSON.stringify(content, null, 1)}\n`);
}

/** Begin, or go on where this slot was left. */
function enter(event) {
  event.preventDefault();
  const slot = byId("slot").valueAsNumber;
  const random = crypto.getRandomValues(new Uint8Array(8));
  const rater = `r${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  study = kept(slot) ?? { slot, rater, place: 0, ratings: {} };
  save();
  showTrace();
}

/** Say what is kept for the number that is typed. */
function tellBegun() {
  const found = kept(byId("slot").value);
  byId("begun").textContent = found
    ? `${rated(found)} of ${plan.slots[found.slot - 1].length} are rated: Start goes on from there.`
    : "";
}

/** Read the plan, and listen. */
async function start() {
  plan = await unpack("plan");
  byId("enter").addEventListener("submit", enter);
  byId("slot").addEventListener("input", tellBegun);
  form.addEventListener("input", ({ target }) => {
    const rating = study.ratings[order()[study.place]];
    if (target.type === "radio") rating.values[target.name] = Number(target.value);
    else rating.comment = target.value;
    save();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    move(1);
  });
  for (const id of ["back", "review"]) byId(id).addEventListener("click", () => move(-1));
  for (const button of document.querySelectorAll(".export")) {
    button.addEventListener("click", exportRatings);
  }
  document.addEventListener("visibilitychange", () => {
    if (byId("trial").hidden) return;
    clock(!document.hidden);
    save();
  });
  byId("slot").disabled = false; // nothing is typed before the page listens
}

start();
