import type { Socket, SocketClass } from '../../src/options.js';

/** A frame, or the end of a connection. */
type Wire = string | ArrayBuffer | { close: number };

/** Both ends of one WebSocket, with the frames in flight. Nothing moves unless the test moves it. */
export class FakeSocket implements Socket {
  binaryType = 'blob';
  bufferedAmount = 0;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;

  readonly up: Wire[] = [];
  readonly down: Wire[] = [];
  /** Whether frames still get through. */
  alive = true;
  accepted = false;
  /** Whether it was given up before it was accepted and reached the server later. */
  hasArrived = false;
  /** The code that the client closed with. */
  closedWith: number | undefined;

  constructor(readonly url: string, private readonly network: Network) {}

  send(data: string | Uint8Array): void {
    if (!this.accepted) throw new Error('InvalidStateError: still connecting');
    if (this.alive) this.up.push(typeof data === 'string' ? data : data.slice().buffer as ArrayBuffer);
  }

  /** The closing handshake follows what was written. A socket that is not open yet fails, as the platform's does. */
  close(code?: number): void {
    if (this.closedWith !== undefined) return;
    this.closedWith = code ?? 1005;
    if (!this.accepted) {
      this.alive = false;
      this.network.gone(this);
      queueMicrotask(() => this.onclose?.({ code: 1006, reason: '' }));
    } else if (this.alive) this.up.push({ close: this.closedWith });
  }

  get query(): URLSearchParams {
    return new URL(this.url).searchParams;
  }

  /** Frames in flight are lost, and the client is notified of the end. */
  end(code = 1006, reason = ''): void {
    this.vanish();
    this.onclose?.({ code, reason });
  }

  /** Frames in flight are lost, and no side is notified. */
  vanish(): void {
    this.alive = false;
    this.up.length = this.down.length = 0;
    this.network.gone(this);
  }
}

/** The events that a server model receives. */
export interface ServerSide {
  opened(socket: FakeSocket): void;
  frame(socket: FakeSocket, frame: string | ArrayBuffer): void;
  /** The client has closed the connection with this code. */
  closed(socket: FakeSocket, code: number): void;
  gone(socket: FakeSocket): void;
}

/** All sockets between one client and one server model. */
export class Network {
  readonly sockets: FakeSocket[] = [];
  /** Whether new connections are accepted. */
  reachable = true;
  readonly WebSocket: SocketClass;

  constructor(private readonly server: ServerSide) {
    const network = this;
    this.WebSocket = function (url: string) {
      const socket = new FakeSocket(url, network);
      network.sockets.push(socket);
      return socket;
    } as unknown as SocketClass;
  }

  get latest(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('the client has not tried to connect');
    return socket;
  }

  gone(socket: FakeSocket): void {
    this.server.gone(socket);
  }

  /** Accepts the newest attempt, or refuses it. */
  accept(): void {
    const socket = this.latest;
    if (socket.accepted || !socket.alive || socket.closedWith !== undefined) return;
    if (!this.reachable) return socket.end();
    socket.accepted = true;
    this.server.opened(socket);
  }

  /** The handshake of an attempt that the client has given up reaches the server after all. */
  arriveLate(socket: FakeSocket): void {
    if (socket.accepted || socket.alive || socket.hasArrived) return;
    socket.hasArrived = true;
    this.server.opened(socket);
  }

  /** Carries one frame to the server. */
  stepUp(socket = this.latest): boolean {
    const frame = socket.up.shift();
    if (typeof frame === 'object' && 'close' in frame) {
      this.server.closed(socket, frame.close);
      socket.down.push(frame);
    } else if (frame !== undefined) this.server.frame(socket, frame);
    return frame !== undefined;
  }

  /** Carries one frame to the client. */
  stepDown(socket = this.latest): boolean {
    const data = socket.down.shift();
    if (typeof data === 'object' && 'close' in data) socket.end(data.close);
    else if (data !== undefined) socket.onmessage?.({ data });
    return data !== undefined;
  }

  /** Carries all frames, and their answers, until nothing moves. */
  settle(): void {
    this.accept();
    while (this.stepUp() || this.stepDown());
  }
}
