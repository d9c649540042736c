"use strict";
// Decodes the data that the page carries and shows it: tables and map by DataTables, the trend by
// uPlot. Text is only ever shown through textContent, or escaped.
(() => {
  const PRINTED_ROWS = 1000;
  const CHOICES = 200; // more different values than that are searched for, not chosen from
  // The codes of the map, as sweeper.formats.html.places.State has them.
  const STATES = ["none", "skipped", "empty", "compliant", "unseen"];
  const SIGNS = ["", "–", "·", "✓", "?"];
  const WORDS = ["", "skipped", "no repository", "compliant", "not checked"];
  const MARKS = {
    open: "bad", new: "bad", reopened: "bad", undetermined: "unsure", "not checked": "unsure",
    "no longer visible": "unsure", closed: "good", resolved: "good", gone: "quiet",
    "still open": "quiet", compliant: "good", empty: "quiet", skipped: "quiet",
  };
  const { texts, tables, trend } = JSON.parse(document.getElementById("data").textContent);
  const number = new Intl.NumberFormat("en");
  const apis = [];

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const escaped = (text) =>
    text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  const days = (left) => {
    if (left === null) return "no end";
    if (left < 0) return `expired ${number.format(-left)} ${left === -1 ? "day" : "days"} ago`;
    return left === 0 ? "last day" : `${number.format(left)} ${left === 1 ? "day" : "days"}`;
  };

  // The text of a value, as it is searched and copied.
  const said = {
    text: (value) => texts[value],
    mark: (value) => texts[value],
    account: (value) => texts[value],
    number: (value) => String(value),
    days,
    state: (value) => {
      if (value < 0) return `${-value} closed`;
      return value < STATES.length ? WORDS[value] : `${value - STATES.length + 1} open`;
    },
  };
  const nameFirst = (value) => {
    const text = texts[value];
    const space = text.indexOf(" ");
    return space < 0 ? [text, ""] : [text.slice(space + 1), text.slice(0, space)];
  };
  const sortable = {
    text: said.text,
    mark: said.text,
    account: (value) => nameFirst(value).join(" "),
    number: (value) => value,
    days: (value) => (value === null ? Infinity : value),
    state: (value) => value,
  };
  const shown = {
    text: (value) => element("span", "", texts[value]),
    mark: (value) => {
      const text = texts[value];
      return element("span", text && `mark ${MARKS[text.replace(/ \(.*/, "")]}`, text);
    },
    account: (value) => {
      const [name, id] = nameFirst(value);
      const cell = element("span", "", name);
      if (/^\d{12}$/.test(id)) cell.append(element("small", "", id));
      else cell.textContent = texts[value];
      return cell;
    },
    number: (value) => element("span", value ? "bad" : "", number.format(value)),
    days: (value) =>
      element("span", value === null ? "" : value < 0 ? "mark bad" : value <= 30 ? "mark unsure" : "", days(value)),
    state: (value) => {
      if (value === 0) return element("span");
      const open = value >= STATES.length;
      const kind = value < 0 ? "closed" : open ? "open" : STATES[value];
      const sign = value < 0 ? `✓${-value}` : open ? number.format(value - STATES.length + 1) : SIGNS[value];
      const cell = element("span", `cell ${kind}`);
      cell.append(element("span", "", sign), element("span", "hidden", said.state(value)));
      cell.firstChild.setAttribute("aria-hidden", "true");
      return cell;
    },
  };

  function build({ id, columns }) {
    const table = document.getElementById(id);
    const map = id === "map";
    const pageLength = map ? 15 : 25;
    const paged = columns[0].values.length > pageLength;
    if (!map) table.classList.add("cards-when-narrow");
    const head = table.createTHead().insertRow();
    for (const column of columns) {
      const cell = element("th", column.kind, texts[column.title]);
      cell.scope = "col";
      head.append(cell);
    }
    const api = new DataTable(table, {
      data: columns[0].values.map((_, row) => [row]),
      columns: columns.map((column) => ({
        data: ([row], type) => {
          const value = column.values[row];
          if (type === "display") return shown[column.kind](value);
          if (type === "filter") return escaped(said[column.kind](value));
          return sortable[column.kind](value);
        },
        type: ["text", "mark", "account"].includes(column.kind) ? "string" : "num",
        className: `${column.kind} ${width(column)}`,
        searchable: column.kind !== "state",
        orderable: column.kind !== "state",
        orderSequence: column.kind === "number" ? ["desc", "asc", ""] : ["asc", "desc", ""],
        createdCell: (cell) => {
          cell.dataset.title = texts[column.title];
          cell.setAttribute("role", "cell");
        },
      })),
      createdRow: (row) => row.setAttribute("role", "row"),
      autoWidth: false,
      deferRender: true,
      layout: {
        topStart: null,
        topEnd: null,
        bottomStart: paged ? "info" : null,
        bottomEnd: paged ? ["pageLength", "paging"] : null,
      },
      lengthMenu: [15, 25, 100, 500],
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
    api.table().container().prepend(tools(api, columns));
    // Each table has pages of its own: a landmark needs a name that no other has.
    const nameThePages = () => {
      for (const pages of api.table().container().querySelectorAll("nav"))
        pages.setAttribute("aria-label", `${table.getAttribute("aria-label")}: pages`);
    };
    api.on("draw", nameThePages);
    nameThePages();
    apis.push(api);
  }

  // Words stay on a line; names and sentences may be broken, and get room.
  function width(column) {
    if (column.kind !== "text") return "";
    const longest = Math.max(...column.values.slice(0, 500).map((value) => texts[value].length));
    return longest > 60 ? "long" : longest > 26 ? "name" : "";
  }

  function tools(api, columns) {
    const row = element("div", "tools");
    const search = field(row, element("input"), "Filter");
    search.type = "search";
    search.placeholder = "any part of any column";
    let waiting;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => api.search(search.value).draw(), 120);
    });
    columns.forEach((column, index) => {
      const values = column.choose ? [...new Set(column.values)].map((value) => texts[value]).sort() : [];
      if (values.length < 2 || values.length > CHOICES) return;
      const select = field(row, element("select"), texts[column.title]);
      select.append(new Option("all", ""));
      for (const value of values) if (value) select.append(new Option(value, value));
      select.addEventListener("change", () =>
        api.column(index).search(select.value, { exact: select.value !== "", regex: false, smart: false }).draw());
    });
    const copy = element("button", "", "Copy rows");
    copy.type = "button";
    const told = element("output");
    copy.addEventListener("click", async () => {
      const rows = api.rows({ search: "applied", order: "applied" }).data().toArray();
      const counted = `${number.format(rows.length)} ${rows.length === 1 ? "row" : "rows"}`;
      const done = await write(copied(columns, rows));
      told.textContent = done ? `${counted} copied` : "This browser does not let the page copy.";
    });
    row.append(copy, told);
    return row;
  }

  function field(row, control, title) {
    const label = element("label", "", title);
    label.append(control);
    row.append(label);
    return control;
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

  // The lines of the trend; drawn anew where width, scheme or medium changes its colours.
  function draw(place) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const [text, line] = [colour("text"), colour("line")];
    const when = (time, end) => new Date(time * 1000).toISOString().slice(0, end).replace("T", " ");
    const times = (_, ticks) => ticks.map((tick) => when(tick, ticks[1] - ticks[0] < 86400 ? 16 : 10));
    const counts = (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? number.format(tick) : ""));
    const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
    const value = (_, shownValue) => (shownValue === null ? "–" : number.format(shownValue));
    place.replaceChildren();
    new uPlot({
      width: place.clientWidth,
      height: 280,
      padding: [16, 44, 0, 0],
      scales: { y: { range: (_, __, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [{ ...axis, values: times, space: 110 }, { ...axis, values: counts, size: 64 }],
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
      series: [
        { label: "Sweep", value: (_, time) => (time === null ? "–" : when(time, 16)) },
        { label: "Found mutable", stroke: colour("unsure-fill"), width: 2, dash: [6, 4], points: { show: true, size: 6 }, value },
        { label: "Findings left", stroke: colour("bad-fill"), width: 3, fill: `${colour("bad-fill")}22`, points: { show: true, size: 7, fill: colour("bad-fill") }, value },
        { label: "Coverage is incomplete", stroke: text, width: 0, points: { show: true, size: 13, width: 2, fill: "transparent" }, value },
      ],
    }, [
      trend.map(([time]) => Date.parse(time) / 1000),
      trend.map(([, open]) => open),
      trend.map(([, , left]) => left),
      trend.map(([, , left, complete]) => (complete ? null : left)),
    ], place);
  }

  function showTrend() {
    const place = document.getElementById("trend");
    if (!place) return;
    let width = 0;
    new ResizeObserver(() => {
      if (place.clientWidth !== width) draw(place);
      width = place.clientWidth;
    }).observe(place);
    // Paper is light, whatever the screen is.
    matchMedia("screen and (prefers-color-scheme: dark)").addEventListener("change", () => draw(place));
  }

  // On paper there is no paging and nothing to open.
  function preparePrinting() {
    let before = [];
    addEventListener("beforeprint", () => {
      before = apis.map((api) => api.page.len());
      for (const api of apis) api.page.len(PRINTED_ROWS).draw(false);
      for (const details of document.querySelectorAll("main details")) details.open = true;
    });
    addEventListener("afterprint", () => {
      apis.forEach((api, index) => api.page.len(before[index]).draw(false));
    });
  }

  document.documentElement.classList.add("scripted");
  tables.forEach(build);
  showTrend();
  preparePrinting();
})();
