// The client of Courtside, from the page's point of view.
//
// A frame's way in: connection.ts reads it, link.ts keeps the welcome and the goodbye, session.ts counts it, client.ts
// hands it to a room, a channel or a waiting request. An action's way out: client.ts encodes it, session.ts keeps it until
// the server has confirmed it, link.ts writes it once there is a welcomed connection.
//
// A room's state is in state.ts, which merges what comes (merge.ts) and checks it (hash.ts). What shows a state smoothly, and
// ahead of the server, stands apart and knows nothing of rooms: interpolation.ts with ticks.ts, and prediction.ts.

export { connect, type Client } from './client.js';
export type { ClientEvents, Loss } from './client-events.js';
export type { Gap, PublicationInfo, Subscription } from './channel.js';
export type { Clock } from './clock.js';
export type { EntityListener } from './entities.js';
export { CourtsideError, type OwnErrorCode } from './errors.js';
export type { Off } from './events.js';
export { Interpolation, lerp, lerpAngle, lerpEach, type InterpolationOptions, type Lerp } from './interpolation.js';
export type { ClientState, Retry } from './link.js';
export type { Address, ConnectOptions, Credential, Socket, SocketClass, TokenStorage } from './options.js';
export type { PageListener } from './page.js';
export type { At, EntityAt, NoSuchPlace, Path, PathIn } from './path.js';
export { Prediction, type PredictionOptions } from './prediction.js';
export { CLOSE_CODES, type CloseCode, type Format, type JoinMode, type Limits, type Position } from './protocol.js';
export type { AnyRoom, Content, Room, RoomTypes, Seat } from './room.js';
export type { JoinSettings } from './rooms.js';
export type { Patience, Signal } from './sender.js';
export { TickClock, type TickClockOptions } from './ticks.js';
