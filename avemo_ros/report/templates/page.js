"use strict";
// Draws the figures of a page, in light and dark, when they come into sight.
const read = name => JSON.parse(document.getElementById(name).textContent);
const darkOfLight = read("dark-of-light");
const house = read("house");
const dark = matchMedia("(prefers-color-scheme: dark)");
const touch = matchMedia("(pointer: coarse)").matches;

// A figure with each light colour swapped for its dark one, where the reader's system is dark.
function painted(value, isColour = false) {
  if (!dark.matches || value === null) return value;
  if (typeof value === "string") return isColour ? darkOfLight[value] ?? value : value;
  if (Array.isArray(value)) return value.map(item => painted(item, isColour));
  if (typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(
    ([key, item]) => [key, painted(item, isColour || key.toLowerCase().includes("color"))]));
}

const fileName = figure => figure.getAttribute("aria-label").split(/[,:.]/)[0]
  .replace(/[^\p{L}\p{N}]+/gu, "-").toLowerCase();
const save = (figure, format) => Plotly.downloadImage(figure, {
  format, scale: format === "png" ? 2 : 1,
  width: figure.offsetWidth, height: figure.offsetHeight,
  filename: fileName(figure),
});
const button = format => ({
  name: `save-${format}`,
  title: `Save as ${format.toUpperCase()}`,
  icon: Plotly.Icons[format === "svg" ? "disk" : "camera"],
  click: figure => save(figure, format),
});
// What a figure was made of, one line a point.
function values(figure) {
  const cell = value => {
    const text = value === undefined || value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const axes = figure._fullLayout;
  // As given: plotly fills in words of its own where an axis has no title.
  const title = name => figure.layout[name]?.title?.text || name[0];
  const lines = [["series", title("xaxis"), title("yaxis"), "value", "from", "high"]];
  for (const trace of figure._fullData) {
    if (trace.z) {
      trace.z.forEach((row, i) => row.forEach((value, k) =>
        lines.push([trace.name, trace.x?.[k] ?? k, trace.y?.[i] ?? i, trace.customdata?.[i]?.[k] ?? value])));
      continue;
    }
    const names = axes[`xaxis${(trace.xaxis ?? "x").slice(1)}`] ?? axes.xaxis;
    const count = Math.max(trace.x?.length ?? 0, trace.y?.length ?? 0);
    for (let i = 0; i < count; i += 1) {
      const x = trace.x?.[i], place = Array.from(names?.tickvals ?? []).indexOf(x);
      const y = trace.y?.[i], spread = trace.error_y?.visible ? trace.error_y.array?.[i] : undefined;
      lines.push([trace.name, names?.ticktext?.[place] ?? x, y, undefined, trace.base?.[i],
        spread === undefined ? undefined : y + spread]);
    }
  }
  const used = lines[0].map((_, k) => k < 3 || lines.slice(1).some(line => line[k] !== undefined && line[k] !== null));
  return lines.map(line => line.filter((_, k) => used[k]).map(cell).join(",") + "\r\n").join("");
}
function saveValues(figure) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([values(figure)], {type: "text/csv"}));
  link.download = `${fileName(figure)}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}
const config = {
  displaylogo: false,
  displayModeBar: touch ? true : "hover",
  modeBarButtons: [
    ["zoomIn2d", "zoomOut2d", ...(touch ? [] : ["zoom2d", "pan2d"]), "resetScale2d"],
    [button("svg"), button("png"), {
      name: "save-csv", title: "Save the values as CSV", icon: Plotly.Icons.spikeline, click: saveValues,
    }],
  ],
};

function shownLayout(place, made) {
  const room = place.clientWidth < 600 ? made.room : 0;
  const layout = {...made.layout, height: made.layout.height + room};
  layout.margin = {...layout.margin, b: (layout.margin?.b ?? house.layout.margin.b) + room};
  place.style.height = `${layout.height}px`;
  // A finger scrolls the page; it zooms by the buttons.
  const drag = touch ? false : made.layout.dragmode ?? "zoom";
  return painted({...layout, template: house, dragmode: drag});
}

const sizes = new ResizeObserver(entries => entries.forEach(entry => {
  if (entry.target._fullLayout?.width !== entry.target.clientWidth) {
    Plotly.Plots.resize(entry.target);
  }
}));
const drawn = new Map();
function draw(place) {
  if (drawn.has(place)) return drawn.get(place).done;
  const made = read(`${place.id}-data`);
  const done = Plotly.newPlot(place, painted(made.data), shownLayout(place, made), config);
  drawn.set(place, {made, done});
  done.then(() => sizes.observe(place));
  if (made.shots.length) {
    done.then(() => {
      showImages(place, made.shots);
      place.on("plotly_relayout", change => {
        if (!("images" in change)) showImages(place, made.shots);
      });
    });
  }
  return done;
}

// Those images that fit beside one another, at their own size whatever the zoom.
function showImages(place, shots) {
  const [start, end] = place.layout.xaxis.range.map(Number);
  const perPixel = (end - start) / Math.max(place._fullLayout._size.w, 1);
  const images = [];
  let free = start;
  for (const shot of shots) {
    const wide = shot.width * perPixel;
    if (shot.at < free || shot.at + wide > end + perPixel) continue;
    free = shot.at + wide + 2 * perPixel;
    images.push({
      source: shot.src, xref: "x", yref: "y4 domain", x: shot.at, y: 1, sizex: wide, sizey: 1,
      xanchor: "left", yanchor: "top", sizing: "contain", layer: "above",
    });
  }
  Plotly.relayout(place, {images});
}

const places = [...document.querySelectorAll(".figure")];
const sight = new IntersectionObserver(
  entries => entries.filter(entry => entry.isIntersecting).forEach(entry => {
    sight.unobserve(entry.target);
    draw(entry.target);
  }),
  {rootMargin: "800px"});
places.forEach(place => sight.observe(place));
addEventListener("beforeprint", () => places.forEach(draw));

dark.addEventListener("change", () => {
  for (const [place, {made}] of drawn) {
    const layout = shownLayout(place, made);
    layout.xaxis = {...layout.xaxis, range: place.layout.xaxis.range};
    Plotly.react(place, painted(made.data), layout, config)
      .then(() => made.shots.length && showImages(place, made.shots));
  }
});

// A link to a stretch of time zooms its figure to it and marks it.
function showStretch() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.dataset.figure) return;
  const from = Number(target.dataset.from), to = Number(target.dataset.to);
  const place = document.getElementById(target.dataset.figure);
  draw(place).then(() => {
    const [start, end] = read(`${place.id}-data`).layout.xaxis.range.map(Number);
    const room = Math.max(2 * (to - from), 5);
    Plotly.relayout(place, {
      "xaxis.range": [Math.max(start, from - room), Math.min(end, to + room)],
      shapes: [{
        type: "rect", xref: "x", yref: "paper", x0: from, x1: to, y0: 0, y1: 1,
        line: {color: painted({color: "#1c2128"}).color, width: 2}, fillcolor: "rgba(0,0,0,0)",
      }],
    });
    target.scrollIntoView();
  });
}
addEventListener("hashchange", showStretch);
showStretch();
