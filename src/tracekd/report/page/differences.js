// Differences between two regimes, over seeds and questions, or two students, over questions.

/** Return what can be compared: key -> its name, its students, its cell and the kind. */
function comparable() {
  const found = new Map();
  for (const [key, students] of byRegime(data.ordered.filter((one) => one.cell !== undefined))) {
    const [{ cell, regime }] = students;
    found.set(key, { name: regime, students, cell, kind: "regimes" });
  }
  for (const one of data.ordered) {
    found.set(one.name, { name: one.name, students: [one], cell: one.cell, kind: "experiments" });
  }
  return found;
}

/** Return a difference second - first, or null; what was computed the other way round is turned. */
function difference(first, second) {
  const { kind } = first;
  const known = kind === "regimes" ? data.differences.regimes[first.cell] ?? {}
    : data.differences.experiments;
  const straight = known[`${second.name} - ${first.name}`];
  if (straight) return straight;
  const other = known[`${first.name} - ${second.name}`];
  if (!other) return null;
  const minus = (x) => (x === null || x === undefined ? x : -x);
  const turned = (part) => part && { ...part, low: minus(part.high), high: minus(part.low),
    difference: minus(part.difference) };
  return { ...turned(other), over_questions: turned(other.over_questions),
    over_seeds: turned(other.over_seeds), by_seed: other.by_seed && Object.fromEntries(
      Object.entries(other.by_seed).map(([seed, one]) => [seed, turned(one)])) };
}

/** Return the pairs of students to compare: those with the same seed, or the two themselves. */
function studentPairs(first, second) {
  if (first.kind === "experiments") return [[first.students[0], second.students[0]]];
  return first.students.flatMap((one) =>
    second.students.filter((other) => other.seed === one.seed).map((other) => [one, other]));
}

/** The view of differences: made once, then updated. */
class DifferencesView {
  constructor() {
    this.choices = comparable();
    const options = () => ["regimes", "experiments"].flatMap((kind) => data.cells.map((cell) => {
      const of = [...this.choices].filter(([, one]) =>
        one.kind === kind && (one.cell ?? "") === cell);
      const label = `${kind === "regimes" ? "Regimes" : "Experiments"}${cell ? `: ${cell}` : ""}`;
      return of.length ? element("optgroup", { label },
        of.map(([value, { name }]) => element("option", { value }, visible(name)))) : null;
    }));
    const select = (key, words) => element("select", { "aria-label": words,
      change: (event) => go({ [key]: event.target.value }) }, options());
    this.y = select("y", "Second");
    this.x = select("x", "First");
    this.body = element("div");
    this.node = element("div", {}, element("h1", {}, "Differences"),
      element("p", { class: "pair" }, this.y, " compared with ", this.x), this.body);
    const open = (place) => go({ v: "questions", q: data.id[place] });
    this.lists = ["more often right", "less often right"].map((name) =>
      new LongList(name.replaceAll(" ", "-"), (place) => questionRow(place, this.students,
        dataText("span", this.remark(place), { class: "remark" })), open));
  }

  remark(place) {
    const changes = this.changes.get(place);
    const seeds = this.pairs.length;
    return seeds > 1 ? `${Math.abs(changes)} of ${count(seeds, "seed")}` : "";
  }

  update(now) {
    // At first two regimes, or else two experiments.
    const keys = [...this.choices.keys()], kind = (key) => this.choices.get(key)?.kind;
    const start = keys.findIndex((key, place) => kind(key) === kind(keys[place + 1]));
    const [x, y] = [now.x ?? keys[start] ?? keys[0], now.y ?? keys[start + 1] ?? keys[0]];
    const [first, second] = [this.choices.get(x), this.choices.get(y)];
    this.x.value = x;
    this.y.value = y;
    const say = (words) => this.body.replaceChildren(element("p", { class: "finding" }, words));
    if (!first || !second || x === y) return say("Choose two regimes, or two experiments.");
    if (first.kind !== second.kind) {
      return say("A regime is compared with a regime, an experiment with an experiment.");
    }
    const found = first.cell === second.cell || first.kind === "experiments"
      ? difference(first, second) : null;
    if (!found) return say("These two answer different questions, so they are not compared.");
    return this.body.replaceChildren(...this.compared(first, second, found));
  }

  compared(first, second, found) {
    this.pairs = studentPairs(first, second);
    this.students = [...first.students, ...second.students];
    this.changes = new Map();
    for (let place = 0; place < data.size; place += 1) {
      let change = 0;
      for (const [one, other] of this.pairs) {
        change += (other.answer[place] === "1") - (one.answer[place] === "1");
      }
      if (change) this.changes.set(place, change);
    }
    const regimes = first.kind === "regimes";
    const estimate = { mean: found.difference, low: found.low, high: found.high };
    const design = regimes
      ? `crossed over ${count(found.seeds.length, "common seed")} and ${count(found.n, "question")}`
      : `over ${count(found.n, "question")}: these two trained students on other questions, which `
        + "supports no claim about regimes";
    const rows = [["seeds and questions", estimate], ["questions alone", found.over_questions],
      ["seeds alone", found.over_seeds]].filter(([, one]) => one)
      .map(([label, one]) => ({ label, values: [{ ...one, mean: found.difference }] }));
    for (const [seed, one] of Object.entries(found.by_seed ?? {})) {
      rows.push({ label: `seed ${seed}`, values: [{ mean: one.difference }] });
    }
    if (!regimes) rows[0].label = "questions";
    const by = (experiments) => data.classes.map((name) => {
      const places = data.class.flatMap((one, place) => (one === name ? [place] : []));
      const shares = places.map((place) => shareRight(place, experiments))
        .filter((share) => share !== null);
      return shares.length ? { mean: shares.reduce((a, b) => a + b, 0) / shares.length } : null;
    });
    const [before, after] = [first, second].map((one) => by(one.students));
    const flipped = [1, -1].map((side, number) => {
      const places = [...this.changes].filter(([, change]) => change * side > 0)
        .sort(([, a], [, b]) => side * (b - a)).map(([place]) => place);
      this.lists[number].set(places, -1);
      const words = `${second.name} is ${number ? "less" : "more"} often right: ${
        count(places.length, "question")}`;
      return element("section", {}, element("h3", {}, visible(words)), this.lists[number].node);
    });
    const p = regimes ? "" : " (McNemar)";
    return [
      element("p", { class: "finding" }, `${visible(second.name)} − ${visible(first.name)}: ${
        withInterval(estimate)} points in answer accuracy`),
      element("p", { class: "note" }, found.low === null
        ? "Fewer than three common seeds support no claim about regimes."
        : `95 % interval ${design}; p${p} ${pValue(found.p_value)}.`),
      element("div", { class: "figures" },
        figureElement({ title: "Difference in answer accuracy", kind: "estimates", rows,
          series: ["difference"], differences: true }),
        figureElement({ title: "Answers right by class", kind: "estimates",
          series: [first.name, second.name], rows: data.classes.map((label, place) =>
            ({ label, values: [before[place], after[place]] })) })),
      element("h2", {}, "Questions that flipped"),
      element("div", { class: "flipped" }, flipped),
    ];
  }
}
