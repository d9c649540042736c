"use strict";
// Decodes the data that the page carries and shows it: tables and map by DataTables, the trend by
// uPlot. Text is only ever shown through textContent, or escaped.
(() => {
  const PRINTED = { accounts: 200, map: 200, findings: 100 }; // rows; the other tables are not printed
  const NARROW_ROWS = 20;
  const LONGEST_WORD = 40; // what is longer is broken anywhere
  // On a phone a row has these columns until all are asked for.
  const LEADING = ["State", "What became of it", "Time left", "Account", "Region", "Repository", "Mutable", "Failed regions"];
  const UNPRINTED = ["Since last", "OU", "Account tags", "Setting", "Tags that look moved"];
  const GROUPED = ["not-checked", "skipped"];
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
  const narrow = matchMedia("screen and (max-width: 44rem)");
  const { texts, tables, owners, trend } = JSON.parse(document.getElementById("data").textContent);
  const number = new Intl.NumberFormat("en");
  const built = []; // the tables, each with its `api`

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const escaped = (text) =>
    text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  const counted = (count, one, many = `${one}s`) => `${number.format(count)} ${count === 1 ? one : many}`;
  // A line ends after a separator, never in the middle of a word.
  const broken = (text) => {
    const cell = element("span");
    for (const part of text.split(/(?<=[/\-_.:,@\s])/)) {
      cell.append(part.length > LONGEST_WORD ? element("span", "anywhere", part) : part, element("wbr"));
    }
    return cell;
  };
  const days = (left) => {
    if (left === null) return "no end";
    if (left < 0) return `expired ${counted(-left, "day")} ago`;
    return left === 0 ? "last day" : counted(left, "day");
  };

  // The text of a value, as it is searched and copied.
  const said = {
    text: (value) => texts[value],
    mark: (value) => texts[value],
    account: (value) => texts[value],
    number: String,
    bad: (value) => (value === null ? "all" : String(value)),
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
    bad: (value) => value ?? Infinity,
    days: (value) => value ?? Infinity,
    state: (value) => value,
  };
  const shown = {
    text: (value, breaks) => (breaks ? broken(texts[value]) : element("span", "", texts[value])),
    mark: (value) => {
      const text = texts[value];
      return element("span", text && `mark ${MARKS[text.replace(/ \(.*/, "")]}`, text);
    },
    account: (value) => {
      const [name, id] = nameFirst(value);
      if (!/^\d{12}$/.test(id)) return broken(texts[value]);
      const cell = broken(name);
      cell.append(element("small", "", id));
      return cell;
    },
    number: (value) => element("span", "", number.format(value)),
    bad: (value) => element("span", value === 0 ? "zero" : "bad", value === null ? "all" : number.format(value)),
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
          if (type === "display") return shown[column.kind](value, texts[column.title] !== "Region");
          if (type === "filter") return escaped(said[column.kind](value));
          return sortable[column.kind](value);
        },
        type: ["text", "mark", "account"].includes(column.kind) ? "string" : "num",
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
    const longest = kind === "text" ? Math.max(0, ...values.slice(0, 500).map((value) => texts[value].length)) : 0;
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

  function choice(values) {
    const select = element("select");
    select.append(new Option("all", ""));
    for (const value of values.sort()) if (value) select.append(new Option(value, value));
    return select;
  }

  // The filters of the page: every table shows the rows whose account and state they admit.
  function filterAll() {
    const row = document.querySelector("#filters .tools");
    const accounts = new Map(); // id -> its text and its states
    const idOf = (text) => text.split(" ", 1)[0];
    for (const table of built) {
      const account = table.columns.find(({ kind }) => kind === "account");
      const mark = table.columns.find(({ kind }) => kind === "mark");
      table.accountOf = (index) => texts[account.values[index]];
      table.stateOf = (index) => texts[mark && !GROUPED.includes(table.id) ? mark.values[index] : table.state];
      account.values.forEach((_, index) => {
        const text = table.accountOf(index);
        const one = accounts.get(idOf(text)) ?? { text, states: new Set() };
        accounts.set(idOf(text), one);
        one.states.add(table.stateOf(index));
      });
    }
    if (!accounts.size) return document.getElementById("filters").remove();
    const known = new Map(Object.entries(owners));
    const owner = (id) => known.get(id) ?? [texts.indexOf(""), []];
    const control = (title, values) => {
      const distinct = [...new Set(values)].filter(Boolean);
      if (!distinct.length) return { value: "" };
      const made = field(row, distinct.length > CHOICES || title === "Account" ? element("input") : choice(distinct), title);
      made.addEventListener("input", apply);
      return made;
    };
    const ids = [...accounts.keys()];
    const account = control("Account", ids);
    const ou = control("OU", ids.map((id) => texts[owner(id)[0]]));
    const tag = control("Owner (account tag)", ids.flatMap((id) => owner(id)[1].map((each) => texts[each])));
    const state = control("State", [...accounts.values()].flatMap(({ states }) => [...states]));
    const clear = element("button", "", "Clear");
    clear.type = "button";
    clear.addEventListener("click", () => {
      for (const each of [account, ou, tag, state]) each.value = "";
      apply();
    });
    const told = element("output");
    row.append(clear, told);

    function apply() {
      const matches = ({ value, tagName }, text) =>
        !value || (tagName === "SELECT" ? text === value : text.toLowerCase().includes(value.toLowerCase()));
      const admitted = new Set(ids.filter((id) =>
        matches(account, accounts.get(id).text)
        && matches(ou, texts[owner(id)[0]] ?? "")
        && (!tag.value || owner(id)[1].some((each) => matches(tag, texts[each])))
        && (!state.value || accounts.get(id).states.has(state.value))));
      const any = [account, ou, tag, state].some(({ value }) => value);
      for (const { api, id, accountOf, stateOf } of built) {
        // An account has all the states of its rows, in whichever table they are.
        const whole = ["accounts", "map"].includes(id);
        api.search.fixed("page", any ? (_, [index]) =>
          admitted.has(idOf(accountOf(index))) && (whole || matches(state, stateOf(index))) : null).draw();
      }
      told.textContent = any ? `${number.format(admitted.size)} of ${counted(ids.length, "account")} match` : "";
    }
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
      height: narrow.matches ? 190 : 280,
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
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(place));
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
          api.search.fixed("print", (_, [index]) => ["open", "undetermined"].includes(stateOf(index)));
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
  filterAll();
  fold();
  narrow.addEventListener("change", fold);
  showTrend();
  preparePrinting();
})();
