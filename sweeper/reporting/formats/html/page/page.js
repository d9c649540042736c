"use strict";
// The tables and the map, shown by DataTables, and what is printed of them.
(() => {
  const PRINTED = { accounts: 200, map: 200, findings: 100 }; // rows; the other tables are not printed
  const NARROW_ROWS = 20;
  // On a phone a row has these columns until all are asked for.
  const LEADING = ["State", "What became of it", "Time left", "Account", "Region", "Repository", "Mutable", "Failed regions"];
  const UNPRINTED = ["Since last", "OU", "Account tags", "Setting", "Tags that look moved"];
  const GROUPED = ["not-checked", "skipped"];
  const {
    texts, tables, narrow, number, element, escaped, counted, broken, nameFirst, said, sortable, shown,
    consoleAddress, STATES, SIGNS, WORDS,
  } = cells;
  const { CHOICES, choice, field, filterAll } = filters;
  const built = []; // the tables, each with its `api`

  function build({ id, state, columns }) {
    const table = document.getElementById(id);
    const map = id === "map";
    const grouped = GROUPED.includes(id);
    const pageLength = map ? 15 : narrow.matches ? NARROW_ROWS : 25;
    const paged = columns[0].values.length > pageLength;
    if (!map) table.classList.add("cards-when-narrow");
    const head = table.createTHead().insertRow();
    for (const column of columns) {
      const cell = element("th", classes(id, column), texts[column.title]);
      cell.scope = "col";
      head.append(cell);
    }
    const api = new DataTable(table, {
      data: columns[0].values.map((_, row) => [row]),
      columns: columns.map((column) => ({
        data: ([row], type) => {
          const value = column.values[row];
          if (type === "display") {
            const address = consoleAddress(columns, column, row);
            return shown[column.kind](value, texts[column.title] !== "Region", address);
          }
          if (type === "filter") return escaped(said[column.kind](value));
          return sortable[column.kind](value);
        },
        type: ["text", "mark", "account", "repository"].includes(column.kind) ? "string" : "num",
        className: classes(id, column),
        searchable: column.kind !== "state",
        orderable: column.kind !== "state",
        orderSequence: ["number", "bad"].includes(column.kind) ? ["desc", "asc", ""] : ["asc", "desc", ""],
        createdCell: (cell) => {
          cell.dataset.title = texts[column.title];
          cell.setAttribute("role", "cell");
        },
      })),
      createdRow: (row, [index]) => {
        row.setAttribute("role", "row");
        if (map) spread(row, columns, index);
      },
      autoWidth: false,
      deferRender: true,
      layout: {
        topStart: null,
        topEnd: null,
        bottomStart: paged && !grouped ? "info" : null,
        bottomEnd: paged && !grouped ? ["pageLength", "paging"] : null,
      },
      lengthMenu: [15, NARROW_ROWS, 25, 100, 500],
      order: [],
      pageLength,
      language: {
        info: "_START_ to _END_ of _TOTAL_ rows",
        infoEmpty: "no row",
        infoFiltered: "(of _MAX_)",
        lengthMenu: "_MENU_ rows a page",
        zeroRecords: "No row matches.",
        aria: {
          orderable: ": sort",
          orderableReverse: ": sort the other way",
          orderableRemove: ": back to the report's order",
        },
      },
    });
    table.setAttribute("role", "table");
    for (const row of table.tHead.rows) row.setAttribute("role", "row");
    for (const part of [table.tHead, table.tBodies[0]]) part.setAttribute("role", "rowgroup");
    for (const cell of table.tHead.rows[0].cells) cell.setAttribute("role", "columnheader");
    const frame = table.closest(".dt-layout-table");
    frame.classList.add("table");
    frame.tabIndex = 0; // what scrolls must be reached by the keyboard
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", table.getAttribute("aria-label"));
    const container = api.table().container();
    container.prepend(tools(api, id, columns));
    if (grouped) showGroups(api, columns, frame);
    else if (!map) container.append(moreRows(api));
    // Each table has pages of its own: a landmark needs a name that no other has.
    const nameThePages = () => {
      for (const pages of container.querySelectorAll("nav"))
        pages.setAttribute("aria-label", `${table.getAttribute("aria-label")}: pages`);
    };
    api.on("draw", nameThePages);
    nameThePages();
    built.push({ api, id, state, columns });
  }

  function classes(id, { kind, title, values }) {
    const name = texts[title];
    const longest = ["text", "repository"].includes(kind) ? Math.max(0, ...values.slice(0, 500).map((value) => texts[value].length)) : 0;
    return [
      kind,
      name === "Region" ? "whole" : longest > 60 ? "long" : "",
      LEADING.includes(name) || id === "map" ? "" : "rest",
      id === "findings" && UNPRINTED.includes(name) ? "unprinted" : "",
    ].join(" ");
  }

  // An account that could not be entered, or was skipped, is one cell: its regions are not known.
  function spread(row, columns, index) {
    const first = columns.findIndex(({ kind }) => kind === "state");
    const states = columns.slice(first).map(({ values }) => values[index]);
    if (!["skipped", "unseen"].includes(STATES[states[0]]) || new Set(states).size > 1) return;
    const [cell, ...others] = [...row.cells].slice(first);
    cell.colSpan = states.length;
    cell.replaceChildren(element("span", `cell ${STATES[states[0]]}`, `${SIGNS[states[0]]} ${WORDS[states[0]]}`));
    for (const other of others) other.hidden = true;
  }

  // The list of reasons gets a row for each message, which opens to its accounts and regions.
  function showGroups(api, columns, frame) {
    frame.hidden = true; // it is filtered and copied, not shown
    const named = (title) => columns.find((column) => texts[column.title] === title)?.values;
    const [reason, message, account, region] = ["Reason", "Message", "Account", "Region"].map(named);
    const list = document.querySelector(`.groups[data-table="${api.table().node().id}"]`);
    frame.before(list);
    const show = () => {
      const rows = api.rows({ search: "applied", order: "applied" }).data().toArray().map(([row]) => row);
      const byReason = Map.groupBy(rows, (row) => texts[reason[row]]);
      for (const item of list.children) {
        const own = byReason.get(item.querySelector("code").textContent) ?? [];
        item.hidden = !own.length;
        item.querySelector(".tally").textContent = number.format(own.length);
        for (const details of item.querySelectorAll("details")) details.remove();
        const alike = [...Map.groupBy(own, (row) => message?.[row]).values()];
        item.append(...alike.sort((one, other) => other.length - one.length).map((each) => group(each)));
      }
    };
    const group = (rows) => {
      const details = element("details");
      const summary = element("summary", "", `${counted(rows.length, "row")}${message ? ": " : ""}`);
      if (message) summary.append(broken(texts[message[rows[0]]]));
      details.append(summary);
      details.addEventListener("toggle", () => {
        if (details.children.length > 1) return;
        const places = element("ul", "places");
        for (const [of, those] of Map.groupBy(rows, (row) => account[row])) {
          const place = element("li", "", `${nameFirst(of).join(" ")}: `);
          place.append(broken(those.map((row) => texts[region[row]]).join(", ")));
          places.append(place);
        }
        details.append(places);
      });
      return details;
    };
    api.on("draw", show);
    show();
  }

  // On a phone there are no pages to turn.
  function moreRows(api) {
    const button = element("button", "more", `Show ${NARROW_ROWS} more`);
    button.type = "button";
    const update = () => {
      const { end, recordsDisplay } = api.page.info();
      button.hidden = end >= recordsDisplay;
    };
    button.addEventListener("click", () => api.page.len(api.page.len() + NARROW_ROWS).draw(false));
    api.on("draw", update);
    update();
    return button;
  }

  function tools(api, id, columns) {
    const fold = element("details", "fold");
    fold.open = true;
    const row = element("div", "tools");
    fold.append(element("summary", "", "Filter and copy these rows"), row);
    const search = field(row, element("input"), "Filter");
    search.type = "search";
    search.placeholder = "any part of any column";
    let waiting;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => api.search(search.value).draw(), 120);
    });
    columns.forEach((column, index) => {
      const values = column.choose ? [...new Set(column.values)].map((value) => texts[value]) : [];
      if (values.length < 2 || values.length > CHOICES) return;
      const select = field(row, choice(values), texts[column.title]);
      select.addEventListener("change", () =>
        api.column(index).search(select.value, { exact: select.value !== "", regex: false, smart: false }).draw());
    });
    const copy = element("button", "", "Copy rows");
    copy.type = "button";
    const told = element("output");
    copy.addEventListener("click", async () => {
      const rows = api.rows({ search: "applied", order: "applied" }).data().toArray();
      const done = await write(copied(columns, rows));
      told.textContent = done ? `${counted(rows.length, "row")} copied` : "This browser does not let the page copy.";
    });
    row.append(copy, told);
    if (id !== "map" && !GROUPED.includes(id)) {
      const all = element("button", "narrow", "All columns");
      all.type = "button";
      all.setAttribute("aria-pressed", "false");
      all.addEventListener("click", () =>
        all.setAttribute("aria-pressed", String(api.table().node().classList.toggle("whole"))));
      row.append(all);
    }
    return fold;
  }

  // Tab-separated, for a spreadsheet: no cell is computed there. As sweeper.escaping.csv_cell.
  function copied(columns, rows) {
    const cell = (text) => (/^[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text);
    const lines = [columns.map((column) => cell(texts[column.title]))];
    for (const [row] of rows) {
      lines.push(columns.map((column) => cell(said[column.kind](column.values[row]))));
    }
    return lines.map((line) => line.join("\t")).join("\n");
  }

  // Whether the text is on the clipboard.
  async function write(text) {
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(text);
        return true;
      } catch {
        // Not permitted here: the way below still may be.
      }
    }
    const area = element("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }

  // On paper: the accounts, or the map of few, and the open findings.
  function preparePrinting() {
    let lengths = [];
    const printed = () => built.filter(({ id }) => id in PRINTED);
    addEventListener("beforeprint", () => {
      for (const details of document.querySelectorAll(".accounts details")) details.open = true;
      lengths = printed().map(({ api }) => api.page.len());
      const counts = printed().map(({ api, id, stateOf }) => {
        if (id === "findings")
          api.search.fixed("print", (_, [index]) => ["open", "undetermined", "not reverted"].includes(stateOf(index)));
        api.page.len(PRINTED[id]).draw();
        const { end, recordsDisplay } = api.page.info();
        return `${number.format(end)} of ${counted(recordsDisplay, id === "findings" ? "open finding" : "account")}`;
      });
      document.getElementById("printed").textContent =
        `Printed: ${[...new Set(counts)].join(", ")}. The other rows and tables are in report.csv, report.json and the page on a screen.`;
    });
    addEventListener("afterprint", () => {
      printed().forEach(({ api }, index) => {
        api.search.fixed("print", null);
        api.page.len(lengths[index]).draw(false);
      });
    });
  }

  function fold() {
    for (const details of document.querySelectorAll("details.fold")) details.open = !narrow.matches;
  }

  document.documentElement.classList.add("scripted");
  tables.forEach(build);
  filterAll(built);
  fold();
  narrow.addEventListener("change", fold);
  showTrend();
  preparePrinting();
})();
