// The data of the page, what its address says, and which questions pass the filters.

/** What the page is about: see questions.py for its columns. */
const data = {};

/** Read what lists and filters need; the texts of questions follow later. */
async function readIndex() {
  Object.assign(data, await unpack("index"));
  data.size = data.id.length;
  data.place = new Map(data.id.map((id, place) => [id, place]));
  data.classes = [...new Set(data.class)].sort();
  data.experiments.forEach((one, number) => Object.assign(one, data.labels[number], { number }));
  data.cells = [...new Set(data.experiments.map((one) => one.cell ?? ""))];
  // Regimes in the order of the overview; strips and columns follow it.
  const order = (data.sections ?? []).flatMap(({ title, regimes }) =>
    (regimes ?? []).map((regime) => `${title}|${regime}`));
  const rank = (one) => order.indexOf(regimeKey(one)) + (one.cell === undefined ? 1e6 : 0);
  data.ordered = [...data.experiments].sort((a, b) => rank(a) - rank(b) || a.number - b.number);
  data.texts = new Promise((resolve) => setTimeout(() => resolve(unpack("texts")), 0));
}

/** Return what the experiments of one regime in one cell share. */
function regimeKey(one) {
  return `${one.cell ?? ""}|${one.regime}`;
}

/** Return the experiments that a value of the filter `i` stands for; all if it is none of them. */
function inScope(value) {
  const found = data.ordered.filter((one) =>
    [one.cell, regimeKey(one), one.name].includes(value));
  return found.length ? found : data.ordered;
}

/** Return the experiments by regime, in order. */
function byRegime(experiments) {
  const groups = new Map();
  for (const one of experiments) {
    const key = regimeKey(one);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return groups;
}

/** Return the share of right answers to a question; null if nobody was asked. */
function shareRight(place, experiments) {
  let right = 0, asked = 0;
  for (const one of experiments) {
    if (one.answer[place] === "1") right += 1;
    if (one.answer[place] !== " ") asked += 1;
  }
  return asked ? right / asked : null;
}

/** Return whether one regime is right in most of its seeds, and another wrong in most of its. */
function regimesDisagree(place, groups) {
  let right = false, wrong = false;
  for (const group of groups) {
    const share = shareRight(place, group);
    if (share > 0.5) right = true;
    if (share !== null && share < 0.5) wrong = true;
  }
  return right && wrong;
}

// What the address says. Empty values are left out of it.
//   v view  q question  i experiments  c class  a answer  t trace  l leaked  k cut  d disagreement
//   s search  o order  x y what is compared
const FILTERS = ["i", "c", "a", "t", "l", "k", "d", "s", "o"];

/** Return the state that the address describes. */
function state() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

/** Return the address of a state. */
function link(wanted) {
  return `#${new URLSearchParams(Object.entries(wanted).filter(([, value]) => value))}`;
}

/** Change the state; unless it is a step of its own, the last one is replaced. */
function go(changes, step = true) {
  const address = link({ ...state(), ...changes });
  history[step ? "pushState" : "replaceState"](null, "", address);
  show();
}

const SIGNS = { right: "1", wrong: "0", yes: "1", no: "0" };

/** Return a test of whether an experiment's verdicts on a question are what filters ask for. */
function verdictTest(filters) {
  const wanted = [["answer", filters.a], ["trace", filters.t], ["leaked", filters.l],
    ["cut", filters.k]].filter(([, value]) => value);
  return (one, place) => one.answer[place] !== " "
    && wanted.every(([name, value]) => one[name][place] === SIGNS[value]);
}

/** Return the places of the questions that pass the filters; `found` are those of the search. */
function passing(filters, found) {
  const experiments = inScope(filters.i);
  const groups = [...byRegime(experiments).values()];
  const test = verdictTest(filters);
  const places = [];
  for (let place = 0; place < data.size; place += 1) {
    if (found && !found[place]) continue;
    if (filters.c && data.class[place] !== filters.c) continue;
    if (!experiments.some((one) => test(one, place))) continue;
    if (filters.d && regimesDisagree(place, groups) !== (filters.d === "yes")) continue;
    places.push(place);
  }
  return places;
}

// Order -> its name, and what questions are sorted by.
const ORDERS = {
  "": ["as in the dataset", null],
  class: ["by class", (place) => data.class[place]],
  hard: ["hardest first", shareRight],
  easy: ["easiest first", (place, experiments) => -shareRight(place, experiments)],
  long: ["longest output first", (place, experiments) =>
    -Math.max(...experiments.map((one) => one.tokens[place] ?? 0))],
  text: ["by question", (place) => data.question[place]],
};

/** Sort places of questions by an order of `ORDERS`. */
function sorted(places, order, experiments) {
  const by = ORDERS[order]?.[1];
  if (!by) return places;
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return places.map((place) => [by(place, experiments), place])
    .sort(([a], [b]) => compare(a, b)).map(([, place]) => place);
}

/** Return for each question whether it, its context or an output contains a text. */
async function search(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return null;
  const texts = await data.texts;
  data.lower ??= {
    strings: texts.strings.map((one) => one.toLowerCase()),
    own: data.id.map((id, place) => [id, data.question[place], ...data.gold[place],
      data.class[place]].join("\n").toLowerCase()),
  };
  const inStrings = data.lower.strings.map((one) => one.includes(wanted));
  return data.lower.own.map((own, place) => {
    const question = texts.questions[place];
    return own.includes(wanted) || question.context.some((string) => inStrings[string])
      || question.outputs.some((output) => output && inStrings[output.text]);
  });
}
