/** Receives when the page is hidden and shown. */
export interface PageListener {
  /** The page is left. `kept`: the browser may show it again as it is now, from its back-forward cache. */
  hidden(kept: boolean): void;
  /** The page is shown again as it was. */
  shown(): void;
}

/** Reports the browser's `pagehide` and `pageshow`. Outside browsers it does nothing. */
export function browserPage(page: PageListener): () => void {
  if (typeof window === 'undefined' || typeof document === 'undefined') return () => {};
  const hide = ({ persisted }: PageTransitionEvent) => page.hidden(persisted);
  const show = ({ persisted }: PageTransitionEvent) => {
    if (persisted) page.shown();
  };
  window.addEventListener('pagehide', hide);
  window.addEventListener('pageshow', show);
  return () => {
    window.removeEventListener('pagehide', hide);
    window.removeEventListener('pageshow', show);
  };
}
