import { decode, type Frame } from './codec.js';
import { reasonOf } from './errors.js';
import type { ServerEvent } from './protocol.js';
import type { Socket } from './options.js';

/** Receives what happens on one connection. After `abandon`, it is not called any more. */
export interface ConnectionListener {
  event(event: ServerEvent, size: number): void;
  /** A frame that is not an event. It is unknown whether it counts, so the connection is unusable. */
  garbage(reason: string): void;
  closed(code: number, reason: string): void;
}

/** A socket that is told what its connection's own events say, and which actions are pings: one without WebSocket. */
interface AwareSocket extends Socket {
  saw?(event: ServerEvent): void;
  send(data: unknown, isPing?: boolean): void;
}

/** One WebSocket, or what replaces it, from the attempt to its end. */
export class Connection {
  private socket: AwareSocket | undefined;

  constructor(socket: AwareSocket, private listener: ConnectionListener) {
    this.socket = socket;
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
      socket.saw?.(event);
      this.listener.event(event, typeof data === 'string' ? data.length : (data as ArrayBuffer).byteLength);
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      this.listener.closed(code, reason);
    };
    // An error is always followed by `close`; browsers hide the details for security.
    socket.onerror = () => {};
  }

  /** Bytes that were written but have not left this machine. */
  get buffered(): number {
    return this.socket?.bufferedAmount ?? 0;
  }

  write(frame: Frame, isPing = false): void {
    try {
      if (isPing && this.socket?.saw) this.socket.send(frame, true);
      else this.socket?.send(frame);
    } catch {
      // The socket is closing: `closed` follows, and the frame stays in the session's queue.
    }
  }

  /** Replaces the listener. */
  handOver(listener: ConnectionListener): void {
    this.listener = listener;
  }

  /** Begins the closing handshake, after what was written; `closed` reports how it ended. */
  close(code: number): void {
    try {
      this.socket?.close(code, '');
    } catch {
      // The socket is closed already; `closed` follows.
    }
  }

  /**
   * Ends the connection at once and ignores everything that it still delivers.
   * A socket whose peer is dead may stay half open for a long time and still deliver frames. These would be counted
   * twice, because the server sends them again on the next connection.
   */
  abandon(code: number, reason: string): void {
    const socket = this.socket;
    if (!socket) return;
    this.socket = undefined;
    try {
      socket.close(code, reason);
    } catch {
      // The socket is closed already.
    }
  }
}
