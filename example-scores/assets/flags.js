// Small flags drawn with gradients, because not every system has flag characters.
// Simplified to what is recognisable at 22 pixels: stripes, crosses, a disc. Teams that are not listed
// get a pennant in two colours derived from their name.

// h: horizontal stripes, v: vertical stripes, n: Nordic cross, g: upright cross, d: disc on a ground,
// x: two halves along the diagonal. Then the colours; `*3` makes a stripe three parts wide.
const FLAGS = {
  'Algeria': 'v 006233 fff', 'Argentina': 'h 75aadb fff 75aadb', 'Australia': 'x 012169 e4002b',
  'Austria': 'h ed2939 fff ed2939', 'Belgium': 'v 000 fae042 ed2939', 'Bolivia': 'h d52b1e f9e300 007934',
  'Bosnia & Herzegovina': 'x 002395 fecb00', 'Brazil': 'd 009c3b ffdf00', 'Bulgaria': 'h fff 00966e d62612',
  'Cameroon': 'v 007a5e ce1126 fcd116', 'Canada': 'v d80621 fff*2 d80621', 'Chile': 'h fff d52b1e',
  'China': 'd de2910 ffde00', 'Colombia': 'h fcd116*2 003893 ce1126', 'Costa Rica': 'h 002b7f fff ce1126*2 fff 002b7f',
  'Croatia': 'h e1001a fff 171796', 'Czech Republic': 'x 11457e d7141a', 'Czechoslovakia': 'x 11457e d7141a',
  'Denmark': 'n c8102e fff', 'DR Congo': 'x 007fff ce1021', 'East Germany': 'h 000 dd0000 ffce00',
  'Ecuador': 'h ffdd00*2 034ea2 ed1c24', 'Egypt': 'h ce1126 fff 000', 'El Salvador': 'h 0f47af fff 0f47af',
  'England': 'g fff ce1124', 'France': 'v 0055a4 fff ef4135', 'Germany': 'h 000 dd0000 ffce00',
  'Ghana': 'h ce1126 fcd116 006b3f', 'Greece': 'h 0d5eaf fff 0d5eaf fff 0d5eaf', 'Haiti': 'h 00209f d21034',
  'Honduras': 'h 18c3df fff 18c3df', 'Hungary': 'h cd2a3e fff 436f4d', 'Iceland': 'n 02529c dc1e35',
  'Iran': 'h 239f40 fff da0000', 'Iraq': 'h ce1126 fff 000', 'Ireland': 'v 169b62 fff ff883e',
  'Italy': 'v 009246 fff ce2b37', 'Ivory Coast': 'v f77f00 fff 009e60', 'Jamaica': 'x 009b3a fed100',
  'Japan': 'd fff bc002d', 'Jordan': 'h 000 fff 007a3d', 'Mexico': 'v 006847 fff ce1126',
  'Morocco': 'd c1272d 006233', 'Netherlands': 'h ae1c28 fff 21468b', 'New Zealand': 'x 00247d cc142b',
  'Nigeria': 'v 008751 fff 008751', 'North Korea': 'h 024fa2 ed1c27*3 024fa2', 'Northern Ireland': 'g fff ce1124',
  'Norway': 'n ba0c2f 00205b', 'Panama': 'x 005293 d21034', 'Paraguay': 'h d52b1e fff 0038a8',
  'Peru': 'v d91023 fff d91023', 'Poland': 'h fff dc143c', 'Portugal': 'v 060*2 f00*3', 'Qatar': 'v fff 8d1b3d*2',
  'Romania': 'v 002b7f fcd116 ce1126', 'Russia': 'h fff 0039a6 d52b1e', 'Saudi Arabia': 'h 006c35',
  'Scotland': 'x 005eb8 fff', 'Senegal': 'v 00853f fdef42 e31b23', 'Serbia': 'h c6363c 0c4076 fff',
  'Slovakia': 'h fff 0b4ea2 ee1c25', 'Slovenia': 'h fff 005da4 ed1c24', 'South Africa': 'h e03c31 007749 001489',
  'South Korea': 'd fff cd2e3a', 'Soviet Union': 'h c00', 'Spain': 'h aa151b f1bf00*2 aa151b',
  'Sweden': 'n 006aa7 fecc00', 'Switzerland': 'g da291c fff', 'Trinidad and Tobago': 'x da1a35 000',
  'Tunisia': 'd e70013 fff', 'Turkey': 'd e30a17 fff', 'Ukraine': 'h 0057b7 ffd700',
  'United Arab Emirates': 'h 00732f fff 000', 'United States': 'h b22234 fff b22234 fff b22234', 'USA': 'h b22234 fff b22234 fff b22234',
  'Uruguay': 'h fff 5cb8e6 fff 5cb8e6 fff', 'Wales': 'h fff 00ab39', 'West Germany': 'h 000 dd0000 ffce00',
  'Yugoslavia': 'h 003893 fff de0000',
};

/** The background of a team's flag, as a value for CSS. */
export function flagOf(team) {
  const [kind, ...parts] = (FLAGS[team] ?? pennant(team)).split(' ');
  const stripes = parts.map((part) => part.split('*')).map(([colour, width]) => [`#${colour}`, Number(width ?? 1)]);
  const [ground, ink] = stripes.map(([colour]) => colour);
  switch (kind) {
    case 'h': return striped('180deg', stripes);
    case 'v': return striped('90deg', stripes);
    case 'd': return `radial-gradient(circle closest-side, ${ink} 62%, ${ground} 66%)`;
    case 'x': return `linear-gradient(to top right, ${ground} 50%, ${ink} 50%)`;
    case 'g': return `${bar('90deg', ink, 42, 58)}, ${bar('180deg', ink, 38, 62)}, ${solid(ground)}`;
    default: return `${bar('90deg', ink, 30, 46)}, ${bar('180deg', ink, 38, 62)}, ${solid(ground)}`;
  }
}

function striped(direction, stripes) {
  const whole = stripes.reduce((sum, [, width]) => sum + width, 0);
  let from = 0;
  const stops = stripes.map(([colour, width]) => {
    const start = (from / whole) * 100;
    from += width;
    return `${colour} ${start.toFixed(2)}% ${((from / whole) * 100).toFixed(2)}%`;
  });
  return `linear-gradient(${direction}, ${stops.join(', ')})`;
}

const bar = (direction, colour, from, to) =>
  `linear-gradient(${direction}, transparent ${from}%, ${colour} ${from}% ${to}%, transparent ${to}%)`;

const solid = (colour) => `linear-gradient(${colour}, ${colour})`;

function pennant(team) {
  let hash = 7;
  for (const letter of team) hash = (hash * 31 + letter.codePointAt(0)) % 4096;
  const colour = (hue) => {
    const channel = (shift) => Math.round(130 + 100 * Math.sin(hue + shift)).toString(16).padStart(2, '0');
    return channel(0) + channel(2.1) + channel(4.2);
  };
  return `x ${colour(hash)} ${colour(hash / 3 + 2)}`;
}
