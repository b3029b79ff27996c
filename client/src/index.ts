// The client of Courtside, from the page's point of view.
//
// A frame's way in: connection.ts reads it, link.ts keeps the welcome and the goodbye, session.ts counts it, client.ts
// hands it to a room, a channel or a waiting request. An action's way out: client.ts encodes it, session.ts keeps it until
// the server has confirmed it, link.ts writes it once there is a welcomed connection.
//
// A room's state is in state.ts, which merges what comes (merge.ts) and checks it (hash.ts). What shows a state smoothly, and
// ahead of the server, stands apart and knows nothing of rooms: interpolation.ts with ticks.ts, and prediction.ts.

export { connect, type Client, type ClientEvents, type Loss } from './client';
export type { Gap, PublicationInfo, Subscription } from './channel';
export type { Clock } from './clock';
export type { EntityListener } from './entities';
export { CourtsideError, type OwnErrorCode } from './errors';
export type { Off } from './events';
export { Interpolation, lerp, lerpAngle, lerpEach, type InterpolationOptions, type Lerp } from './interpolation';
export type { ClientState, Retry } from './link';
export type { ConnectOptions, Socket, SocketClass } from './options';
export type { At, EntityAt, Path, PathIn } from './path';
export { Prediction, type PredictionOptions } from './prediction';
export { CLOSE_CODES, type CloseCode, type Format, type JoinMode, type Position } from './protocol';
export type { AnyRoom, Content, Room, RoomTypes } from './room';
export { TickClock, type TickClockOptions } from './ticks';
