"use strict";
// The trend, drawn by uPlot.
const showTrend = (() => {
  const { trend, narrow, number } = cells;

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

  return () => {
    const place = document.getElementById("trend");
    if (!place) return;
    let width = 0;
    new ResizeObserver(() => {
      if (place.clientWidth !== width) draw(place);
      width = place.clientWidth;
    }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(place));
  };
})();
