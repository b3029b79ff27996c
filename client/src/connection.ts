import { decode, type Frame } from './codec';
import { reasonOf } from './errors';
import type { ServerEvent } from './protocol';
import type { Socket, SocketClass } from './options';

/** Who is told what happens on one connection. After `abandon`, nobody is told anything. */
export interface ConnectionListener {
  event(event: ServerEvent, size: number): void;
  /** A frame that is no event: nobody knows whether it counted, so the connection is of no use any more. */
  garbage(reason: string): void;
  closed(code: number, reason: string): void;
}

/** One WebSocket, from the attempt to its end. */
export class Connection {
  private socket: Socket | undefined;

  constructor(WebSocket: SocketClass, url: string, listener: ConnectionListener) {
    const socket = (this.socket = new WebSocket(url));
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      let event: ServerEvent;
      try {
        event = decode(data as string | ArrayBuffer);
      } catch (thrown) {
        listener.garbage(reasonOf(thrown));
        return;
      }
      listener.event(event, typeof data === 'string' ? data.length : (data as ArrayBuffer).byteLength);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      listener.closed(code, reason);
    };
    // An error is always followed by `close`, and a browser says nothing about it for fear of leaking.
    socket.onerror = () => {};
  }

  /** Bytes that were written and have not left this machine. */
  get buffered(): number {
    return this.socket?.bufferedAmount ?? 0;
  }

  write(frame: Frame): void {
    try {
      this.socket?.send(frame);
    } catch {
      // The socket closes under our hands: `closed` follows, and the frame waits in the session's queue.
    }
  }

  /**
   * Ends the connection and hears nothing more of it, at once.
   * A socket whose peer is dead stays half open for as long as the platform likes and may still deliver frames:
   * those would be counted twice, because the server sends them again on the next connection.
   */
  abandon(code: number, reason: string): void {
    const socket = this.socket;
    if (!socket) return;
    this.socket = undefined;
    try {
      socket.close(code, reason);
    } catch {
      // It is gone either way.
    }
  }
}
