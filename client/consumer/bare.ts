// The package asks for no types but the language's own: no DOM, no Node.
import { connect, type Room } from 'courtside-client';

export async function use(WebSocket: NonNullable<import('courtside-client').ConnectOptions['WebSocket']>): Promise<Room> {
  return connect('ws://localhost:1/ws', { WebSocket }).join('arena');
}
