// What a reader would stumble over in the page as it is shown now: a list of complaints, [] if none.
(() => {
  const found = [];
  const name = (element) => element.textContent.trim().slice(0, 40) || element.className.baseVal || element.className;
  const box = (element) => element.getBoundingClientRect();
  const seen = (element) => box(element).width > 0 && box(element).height > 0;
  const meet = (a, b, slack = 1) =>
    a.left < b.right - slack && b.left < a.right - slack && a.top < b.bottom - slack && b.top < a.bottom - slack;
  const turned = (element) => /rotate\(-?[1-9]/.test(element.getAttribute("transform") || "") &&
    !/rotate\(-?90/.test(element.getAttribute("transform"));
  const within = (inner, outer, slack = 1.5) =>
    inner.left >= outer.left - slack && inner.right <= outer.right + slack &&
    inner.top >= outer.top - slack && inner.bottom <= outer.bottom + slack;
  const apart = (elements, what) => {
    elements.forEach((one, i) => elements.slice(i + 1).forEach((other) => {
      if (meet(box(one), box(other))) found.push(`${what}: "${name(one)}" over "${name(other)}"`);
    }));
  };

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide, the window ${root.clientWidth}`);
  apart([...document.querySelectorAll("figure")], "figures");
  apart([...document.querySelectorAll(".cards div")], "cards");
  apart([...document.querySelectorAll("h1, h2, h3, figcaption, .plot, p, .scroll, .cards")].filter(seen), "blocks");
  for (const card of document.querySelectorAll(".cards div, h1, h2, h3, figcaption")) {
    if (card.scrollWidth > card.clientWidth + 1) found.push(`cut: "${name(card)}"`);
  }
  for (const figure of document.querySelectorAll("figure")) {
    const plot = figure.querySelector(".plot");
    const texts = [...plot.querySelectorAll(".main-svg text")].filter((text) => seen(text) && !text.closest(".hoverlayer"));
    if (!texts.length) found.push(`${figure.id}: no text at all`);
    for (const text of texts) {
      if (!within(box(text), box(plot))) found.push(`${figure.id}: "${name(text)}" leaves its figure`);
    }
    const straight = texts.filter((text) => !turned(text) && !text.closest(".barlayer, .heatmaplayer"));
    apart(straight, figure.id);
    for (const cell of plot.querySelectorAll(".heatmaplayer text, .hm text")) {
      if (!within(box(cell), box(plot))) found.push(`${figure.id}: count "${name(cell)}" leaves its figure`);
    }
  }
  return found;
})()
