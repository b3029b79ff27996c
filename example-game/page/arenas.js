// How arenas are named and shown: by a code in the page's address, and in the list of the start panel.

// A private arena has a code, which people can type. Other ids are in small letters and digits.
export const isCode = (id) => /^[A-Z]{6}$/.test(id);

const isId = (text) => /^[A-Za-z0-9_-]{1,64}$/.test(text);

// The arena in the query of an address, such as `?arena=KWXFRT`; null for none.
export function arenaIn(query) {
  const id = new URLSearchParams(query).get('arena') ?? '';
  return isId(id) ? asCode(id) : null;
}

// The address that leads to an arena.
export const linkTo = (origin, id) => `${origin}/?arena=${id}`;

// The arena that a player means by a code, however it is typed, or by a link; null if it is neither.
export function typed(text) {
  const link = text.trim().match(/\?\S*$/);
  if (link) return arenaIn(link[0]);
  const id = text.replace(/[\s-]/g, '');
  return isId(id) ? asCode(id) : null;
}

// Codes may be typed in small letters.
function asCode(id) {
  const code = id.toUpperCase();
  return isCode(code) ? code : id;
}

// The list of the start panel: for each arena its id, what is written there, whether the page is there, and whether it can go there.
export function listed(rooms, here) {
  return rooms.map(({ room, members, capacity, metadata }) => {
    const isHere = room === here;
    const name = metadata?.duel ? `Duel ${[...(metadata.pilots ?? [])].sort().join(' – ')}`.trim() : `Arena ${room.slice(0, 4)}`;
    return { id: room, isHere, isOpen: !isHere && members < capacity, label: isHere ? `Here · ${members}/${capacity}` : `${name} · ${members}/${capacity}` };
  });
}

// What a player who looks for a duel is told, after so many milliseconds.
export const searchText = (ms) => `Finding a duel · ${Math.floor(ms / 1000)} s`;

// Why there is no way into an arena, for people.
export function refusalText(id, { code, message }) {
  if (code === 'unknown_room') return `There is no arena ${id}, or not any more.`;
  if (code === 'room_full') return `The arena ${id} is full.`;
  return message;
}
