"use strict";
// Plotly stands in the page compressed (zlib, base64): 1.9 MB instead of 4.8.
(async () => {
  const json = (id) => JSON.parse(document.getElementById(id).textContent);
  const packed = document.getElementById("library").textContent;
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const library = document.createElement("script");
  library.textContent = await new Response(stream).text();
  document.head.append(library);

  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
    // A list of its own: the default one has a button that sends the figure to plotly's server.
    modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
    showSendToCloud: false,
    plotlyServerURL: "",
  };
  // A view box lets the style sheet scale a drawing, which printing needs.
  const frame = (plot) => {
    const { width, height } = plot._fullLayout;
    plot.style.setProperty("--ratio", `${width} / ${height}`);
    for (const svg of plot.querySelectorAll(".main-svg")) {
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    }
  };
  const plots = [];
  for (const [id, figure] of Object.entries(json("plots"))) {
    const plot = document.getElementById(id);
    // A finger on a figure scrolls the page; a mouse zooms.
    if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false;
    await Plotly.newPlot(plot, figure.data, figure.layout, config);
    frame(plot);
    plot.on("plotly_afterplot", () => frame(plot));
    plots.push(plot);
  }
  // On paper every figure has the width of the text, and letters of one size.
  const PAPER = 690;
  addEventListener("beforeprint", () => plots.forEach((plot) => Plotly.relayout(plot, { width: PAPER })));
  addEventListener("afterprint", () => plots.forEach((plot) => Plotly.relayout(plot, { width: null, autosize: true })));
  document.documentElement.dataset.ready = "yes";
})().catch((error) => {
  for (const plot of document.querySelectorAll(".plot:empty")) {
    plot.classList.add("failed");
    plot.textContent = `This figure needs a browser of 2023 or later (${error}).`;
  }
  document.documentElement.dataset.ready = "failed";
});
