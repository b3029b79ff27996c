// The public API of the Courtside client.
//
// Inbound: connection.ts reads a frame, link.ts handles `welcome` and `goodbye`, session.ts counts the event, client.ts passes
// it to a room, a channel or a pending request. Outbound: sender.ts encodes an action, session.ts keeps it until the server has
// acknowledged it, link.ts writes it once there is a welcomed connection.
//
// Where WebSockets are blocked, event-socket.ts takes their place, and probe.ts finds out when they work again.
//
// A room's state is in state.ts, which merges patches (merge.ts) and checks hashes (hash.ts). Interpolation (interpolation.ts
// with ticks.ts) and prediction (prediction.ts) are separate and do not depend on rooms.

export { connect, type AnyChannels, type ChannelName, type Client } from './client.js';
export type { ClientEvents, Loss } from './client-events.js';
export type { Confirmation, Gap, HistoryPage, HistorySettings, PublicationInfo, SubscribeSettings, Subscription } from './channel.js';
export type { Clock } from './clock.js';
export type { EntityListener } from './entities.js';
export { CourtsideError, type OwnErrorCode } from './errors.js';
export type { Off } from './events.js';
export { Interpolation, lerp, lerpAngle, lerpEach, type InterpolationOptions, type Lerp } from './interpolation.js';
export type { ClientState, Retry } from './link.js';
export type { FollowSettings, ListedRoom, RoomListing, RoomsChange } from './listings.js';
export type { MatchProgress, MatchSettings } from './matches.js';
export type { Address, ConnectOptions, Credential, Socket, SocketClass, TokenStorage, Transport } from './options.js';
export type { PageListener } from './page.js';
export type { At, EntityAt, NoSuchPlace, Path, PathIn } from './path.js';
export type { Presence, PresenceChange, PresenceMember } from './presence.js';
export { Prediction, type PredictionOptions } from './prediction.js';
export { CLOSE_CODES, type CloseCode, type Format, type JoinMode, type Limits, type Position, type RoomFilter } from './protocol.js';
export type { AnyRoom, Content, Room, RoomTypes, Seat } from './room.js';
export type { JoinSettings } from './rooms.js';
export type { Patience, Signal } from './sender.js';
export { TickClock, type TickClockOptions } from './ticks.js';
