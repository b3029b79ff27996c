/** A room's state as the server last told it. The one place where state events are applied. */
export class StateMirror {
  /** The whole state, or undefined before the first one. Treat it as read-only: the next event replaces it. */
  data: unknown = undefined;
  /** The server's tick of that state. */
  tick: number | undefined = undefined;

  whole(tick: number, data: unknown): void {
    this.tick = tick;
    this.data = data;
  }

  /**
   * Applies what changed since tick `base` and says whether the state is now that of `tick`.
   * Servers of this version send whole states only, so a patch is left aside; its merge belongs here and nowhere else.
   * In MessagePack the integer keys of a patch are indices into a table that starts with the `keys` of the last whole
   * state, so the merge also needs the codec to keep integers and strings apart as keys.
   */
  patch(_tick: number, _base: number, _data: unknown): boolean {
    return false;
  }
}
