// The overview: what was run, what it shows, in words, pictures and tables.

/** Return the view. */
function overview() {
  const sections = data.sections.map(({ title, findings, figures }) => {
    for (const figure of figures) {
      for (const row of figure.kind === "mosaic" ? figure.rows : []) {
        row.scope = title ? `${title}|${row.label}` : "";
      }
    }
    return element("section", { class: "findings" },
      title && data.sections.length > 1 ? dataText("h2", title) : null,
      findings.map((sentence, place) =>
        dataText("p", sentence, { class: place ? "finding also" : "finding" })),
      element("div", { class: "figures" }, figures.map(figureElement)));
  });
  const { shared, columns, rows } = data.cards;
  const warnings = (data.warnings ?? []).map((warning) => dataText("li", warning));
  return [
    dataText("h1", `${data.title} · ${count(data.size, "test question")}`),
    sections,
    warnings.length ? element("ul", { class: "warnings" }, warnings) : null,
    element("h2", {}, "What was run"),
    rows.length ? [tableElement({ columns, rows }, "Run cards"), element("p", {},
      element("button", { type: "button",
        click: () => download("run-cards.csv", "text/csv", csv({ columns, rows })) }, "CSV"))]
      : null,
    element("dl", { class: "shared" }, shared.map(([name, value]) => element("div", {},
      dataText("dt", name), dataText("dd", shown(value))))),
  ];
}
