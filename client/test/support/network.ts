import type { Socket, SocketClass } from '../../src/options';

type Wire = string | ArrayBuffer;

/** Both ends' view of one WebSocket, with the frames that are under way. Nothing moves unless the test says so. */
export class FakeSocket implements Socket {
  binaryType = 'blob';
  bufferedAmount = 0;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: never) => void) | null = null;

  readonly up: Wire[] = [];
  readonly down: Wire[] = [];
  /** Whether frames still get through. */
  alive = true;
  accepted = false;
  /** The code that the client closed with. */
  closedWith: number | undefined;

  constructor(readonly url: string, private readonly network: Network) {}

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (!this.accepted) throw new Error('InvalidStateError: still connecting');
    if (this.alive) this.up.push(typeof data === 'string' ? data : data.slice().buffer);
  }

  close(code?: number): void {
    this.closedWith = code ?? 1005;
    this.network.gone(this);
  }

  get query(): URLSearchParams {
    return new URL(this.url).searchParams;
  }

  /** The frames under way are lost, and the client is told of the end. */
  end(code = 1006, reason = ''): void {
    this.vanish();
    this.onclose?.({ code, reason });
  }

  /** The frames under way are lost, and nobody is told. */
  vanish(): void {
    this.alive = false;
    this.up.length = this.down.length = 0;
    this.network.gone(this);
  }
}

/** What a server model is told. */
export interface ServerSide {
  opened(socket: FakeSocket): void;
  frame(socket: FakeSocket, frame: Wire): void;
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

  /** Lets the newest attempt through, or refuses it. */
  accept(): void {
    const socket = this.latest;
    if (socket.accepted || !socket.alive || socket.closedWith !== undefined) return;
    if (!this.reachable) return socket.end();
    socket.accepted = true;
    this.server.opened(socket);
  }

  /** Carries one frame to the server. */
  stepUp(socket = this.latest): boolean {
    const frame = socket.up.shift();
    if (frame !== undefined) this.server.frame(socket, frame);
    return frame !== undefined;
  }

  /** Carries one frame to the client. */
  stepDown(socket = this.latest): boolean {
    const data = socket.down.shift();
    if (data !== undefined) socket.onmessage?.({ data });
    return data !== undefined;
  }

  /** Carries all frames, and their answers, until nothing moves. */
  settle(): void {
    this.accept();
    while (this.stepUp() || this.stepDown());
  }
}
