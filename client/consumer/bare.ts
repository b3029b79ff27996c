// The package needs only the language's own types: no DOM, no Node.
import { connect, type Room } from 'courtside-client';

export async function use(WebSocket: NonNullable<import('courtside-client').ConnectOptions['WebSocket']>): Promise<Room> {
  return connect('ws://localhost:1/ws', { WebSocket }).join('arena');
}
