// What is wrong with how an element looks: a list of sentences, empty if nothing is.
(root) => {
  const faults = [];
  const name = (node) => (node.getAttribute?.("aria-label") || node.textContent || node.tagName).trim().slice(0, 40);
  const box = root.getBoundingClientRect();
  if (box.width < 8 || box.height < 8) faults.push("it has no size");
  if (box.left < 0 || box.right > innerWidth + 0.5 || box.top < 0 || box.bottom > innerHeight + 0.5) {
    faults.push(`it leaves the screen: ${[box.left, box.top, box.right, box.bottom].map(Math.round)} of ${innerWidth}x${innerHeight}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page scrolls sideways");

  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => ({
    r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a), b: top.b * top.a + below.b * (1 - top.a), a: 1,
  });
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") return null;
      const color = parse(style.backgroundColor);
      if (color.a) layers.push(color);
      if (color.a === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const isShown = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && node.getBoundingClientRect().width > 1;

  const checkContrast = (node) => {
    const style = getComputedStyle(node);
    const below = ground(node);
    if (!below) return;
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const found = contrast(over(parse(style.color), below), below);
    if (found < least) faults.push(`“${name(node)}” has a contrast of ${found.toFixed(2)}`);
  };
  const checkCut = (node) => {
    const style = getComputedStyle(node);
    const cut = style.overflowX === "hidden" && style.textOverflow !== "ellipsis" && node.scrollWidth > node.clientWidth + 1;
    if (cut && !node.matches(".hidden-text")) faults.push(`“${name(node)}” is cut off`);
  };
  const checkControl = (node) => {
    const { left, top, width, height } = node.getBoundingClientRect();
    if (width < 12 || height < 12) faults.push(`“${name(node)}” is ${Math.round(width)}x${Math.round(height)} pixels`);
    if (node.matches(".menu:not(.grid) button") && height >= 44) faults.push(`“${name(node)}” has ${Math.round(height)} pixels for one line`);
    const label = node.getAttribute("aria-label") || node.getAttribute("aria-labelledby") || node.labels?.length || node.textContent.trim();
    if (!label) faults.push(`a ${node.tagName} has no name`);
    const [x, y] = [left + width / 2, top + height / 2];
    const hidden = x < 0 || y < 0 || x > innerWidth || y > innerHeight || isScrolledAway(node, x, y);
    if (!hidden && !related(node, document.elementFromPoint(x, y))) faults.push(`“${name(node)}” is covered`);
  };
  const isScrolledAway = (node, x, y) => {
    for (let at = node.parentElement; at; at = at.parentElement) {
      if (getComputedStyle(at).overflowY === "visible") continue;
      const { left, top, right, bottom } = at.getBoundingClientRect();
      if (x < left || x > right || y < top || y > bottom) return true;
    }
    return false;
  };
  const related = (node, hit) => hit && (node.contains(hit) || hit.contains(node) || [...(node.labels ?? [])].some((each) => each.contains(hit)));

  for (const node of [root, ...root.querySelectorAll("*")]) {
    if (node.closest("svg") || !isShown(node)) continue;
    checkCut(node);
    if ([...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) checkContrast(node);
    if (node.matches("button, a[href], input:not([type=file]), select, textarea") && !node.disabled) checkControl(node);
  }
  return faults;
}
