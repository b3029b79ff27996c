import { decode, type Frame } from './codec.js';
import { reasonOf } from './errors.js';
import type { ServerEvent } from './protocol.js';
import type { Socket, SocketClass } from './options.js';

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

  constructor(WebSocket: SocketClass, url: string, private listener: ConnectionListener) {
    const socket = (this.socket = new WebSocket(url));
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (this.socket !== socket) return;
      let event: ServerEvent;
      try {
        event = decode(data as string | ArrayBuffer);
      } catch (thrown) {
        this.listener.garbage(reasonOf(thrown));
        return;
      }
      this.listener.event(event, typeof data === 'string' ? data.length : (data as ArrayBuffer).byteLength);
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      this.listener.closed(code, reason);
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

  /** From now on somebody else is told what happens. */
  handOver(listener: ConnectionListener): void {
    this.listener = listener;
  }

  /** Begins the closing handshake, behind what was written; `closed` says how it ended. */
  close(code: number): void {
    try {
      this.socket?.close(code, '');
    } catch {
      // It is gone either way, and `closed` follows.
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
