// Creates elements, and changes them only if something has changed.

/** An element with a class and children: `el('p.note', 'Hello')`. */
export function el(name, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text, unless it is already set. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets a data attribute; null removes it. */
export function setData(element, name, value) {
  if (value === null || value === undefined || value === false) delete element.dataset[name];
  else if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

/** Replaces the children by exactly these, moving as few as possible. */
export function setChildren(parent, children) {
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Plays an animation and returns it, unless the visitor prefers reduced motion. */
export function animate(element, frames, options) {
  return calm.matches ? null : element.animate(frames, options);
}
